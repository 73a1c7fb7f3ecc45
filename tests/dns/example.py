"""A zone, and questions to it, for the tests of this folder."""

from __future__ import annotations

import dns.message
import dns.rrset

from nodetrust.dns.answer import Authority, Identity
from nodetrust.dns.challenges.table import ChallengeTable
from nodetrust.dns.persist import PersistSource
from nodetrust.dns.records import parse_name
from nodetrust.dns.respond import respond
from nodetrust.dns.sources import (
    AutoTlsSource,
    ChallengeSource,
    Ip4Source,
    Ip6Source,
    PeerSource,
    Policy,
    every_address,
)
from nodetrust.dns.zone.zonefile import parse_zone
from nodetrust.libp2p.peer_id import PeerId

ORIGIN = parse_name("nt.test")
PEER = "QmfVDYD9Du7fNR4DKooPXZnRUoArR3FBRR3udbhZAT9m2H"
PEER_LABEL = "pw4t9mvzh6onnp01f80botcm2pek713h2prwjb3qx6j9bnak4a4o8"
ED25519_LABEL_CHARACTERS = 60
CID = PeerId.from_base58(PEER).to_cid_base36()

NOBODY = Identity()

ZONE = """
$TTL 300
@                3600 SOA ns1 hostmaster 2026010101 7200 900 1209600 60
@                     NS  ns1
@                     NS  ns.elsewhere.example.
@                     CAA 0 issue "letsencrypt.org"
@                     MX  10 ns1
ns1                   A    192.0.2.1
ns1                   AAAA 2001:db8::1
www                   CNAME ns1
gone                  CNAME ip4256-1-1-1
away                  CNAME host.elsewhere.example.
made                  CNAME ip41-2-3-4
loop                  CNAME pool-loop
pool-loop             CNAME loop
proof                 A    192.0.2.2
deep.under.proof      TXT  "deep"
*.wild                TXT  "wild"
sub                   NS   ns.sub
sub                   NS   ns.elsewhere.example.
ns.sub                A    192.0.2.9
big                   TXT  "a{0}" "b{0}" "c{0}"
_acme-challenge.proof TXT  "by hand"
ip49-9-9-9            CAA  0 issue ";"
_acme-challenge.ip48-8-8-8 TXT "by hand"
ip47-7-7-7            CNAME ns1
""".format("x" * 250)


def authority(
    table: ChallengeTable | None = None,
    policy: Policy = every_address,
    identity: Identity = NOBODY,
    persist: tuple[bytes, ...] = (),
) -> Authority:
    """The example zone with all sources."""
    sources = (
        ChallengeSource(ORIGIN, ChallengeTable() if table is None else table),
        Ip4Source(3600, policy),
        Ip6Source(3600, policy),
        PeerSource(3600),
        *((PersistSource(ORIGIN, persist, frozenset({parse_name("proof.nt.test")})),) if persist else ()),
        AutoTlsSource(3600, policy),
    )
    return Authority(parse_zone(ZONE, ORIGIN, "example.zone"), sources, identity)


def ask(
    world: Authority,
    name: str,
    type_: str = "A",
    *,
    now: float = 0.0,
    udp: bool = True,
    edns: int = 0,
    class_: str = "IN",
) -> dns.message.Message:
    """Put a question, and let dnspython read the answer and check that it belongs to the question."""
    query = dns.message.make_query(name, type_, class_, use_edns=edns)
    response = dns.message.from_wire(respond(query.to_wire(), world, now, udp=udp))
    assert query.is_response(response), response
    return response


def rows(section: list[dns.rrset.RRset]) -> list[str]:
    """Each record of a section as one line of a zone file."""
    return [line for rrset in section for line in rrset.to_text().splitlines()]
