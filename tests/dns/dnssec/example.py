"""The example zone of the folder above with a key, and a validator for what it answers."""

from __future__ import annotations

from dataclasses import replace

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from nodetrust.dns.answer import Authority
from nodetrust.dns.challenges.table import ChallengeTable
from nodetrust.dns.dnssec.apex import KEYS_TTL, with_keys
from nodetrust.dns.dnssec.keys import ZoneKey, generate
from nodetrust.dns.respond import respond
from nodetrust.dns.zone.zonefile import parse_zone
from tests.dns.example import ORIGIN, ZONE, authority

NOW = 1_790_000_000.5
KEY = generate()
APEX = dns.name.from_text("nt.test")
CO = 0x4000

MORE = """
MiXed                 MX   10 Mail.ELSEWHERE.example.
MiXed                 MX   9 a.elsewhere.example.
MiXed                 SRV  0 0 443 UPPER.elsewhere.example.
secure                NS   ns.elsewhere.example.
secure                DS   12345 13 2 0000000000000000000000000000000000000000000000000000000000000000
itself                NS   itself
itself                A    192.0.2.10
*.alias               CNAME ns1
*.filled.proof        A    192.0.2.3
many                  TXT  "c" "x"
many                  TXT  "b"
many                  TXT  "a"
""" + "".join(f'huge TXT "{number}{"y" * 200}"\n' for number in range(8))


def unsigned_world(table: ChallengeTable | None = None) -> Authority:
    """The example zone and a few names more."""
    return replace(authority(table), zone=parse_zone(ZONE + MORE, ORIGIN, "example.zone"))


def signed_world(table: ChallengeTable | None = None, keys: tuple[ZoneKey, ...] = (KEY,)) -> Authority:
    """The same with a signer whose clock stands at NOW."""
    world = unsigned_world(table)
    return replace(world, zone=with_keys(world.zone, keys, lambda: NOW))


def dnskeys(*keys: ZoneKey) -> dict[dns.name.Name, dns.rrset.RRset]:
    """The keys as dnspython's validator wants them."""
    found = dns.rrset.RRset(APEX, dns.rdataclass.IN, dns.rdatatype.DNSKEY)
    for key in keys:
        found.add(
            dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DNSKEY, key.dnskey, 0, len(key.dnskey)), KEYS_TTL
        )
    return {APEX: found}


def ask_signed(
    world: Authority, name: str, type_: str = "A", *, compact_ok: bool = False, udp: bool = False, payload: int = 1232
) -> dns.message.Message:
    """Put a question with DO, and read the answer."""
    flags = dns.flags.DO | (CO if compact_ok else 0)
    query = dns.message.make_query(name, type_, use_edns=0, ednsflags=flags, payload=payload)
    response = dns.message.from_wire(respond(query.to_wire(), world, 0.0, udp=udp))
    assert query.is_response(response), response
    return response


def check_signatures(section: list[dns.rrset.RRset], key: ZoneKey = KEY, now: float = NOW) -> set[tuple[str, str]]:
    """Validate a section; what had no signature, as (name, type). Raises dnspython's ValidationFailure."""
    signatures = {(rrset.name, rrset.covers): rrset for rrset in section if rrset.rdtype == dns.rdatatype.RRSIG}
    bare = set()
    for rrset in section:
        if rrset.rdtype == dns.rdatatype.RRSIG:
            continue
        found = signatures.pop((rrset.name, rrset.rdtype), None)
        if found is None:
            bare.add((rrset.name.to_text(), dns.rdatatype.to_text(rrset.rdtype)))
        else:
            assert found.ttl == rrset.ttl, (found, rrset)
            dns.dnssec.validate(rrset, found, dnskeys(key), now=now)
    assert not signatures, signatures
    return bare
