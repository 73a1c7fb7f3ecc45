"""The step from an answer to a signed answer, for a query with the DO bit (RFC 4035 §3.1, RFC 6840, RFC 9824)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

from nodetrust.dns.answer import Authority
from nodetrust.dns.dnssec.denial import nsec, types_at_cut
from nodetrust.dns.dnssec.sign import Signer
from nodetrust.dns.labels import CHALLENGE_LABEL
from nodetrust.dns.records import CLASS_CH, Name, Node, Rcode, RRset, Type, is_within, name_from_wire
from nodetrust.dns.wire import Answer, Query
from nodetrust.dns.zone.zone import Zone

_Section: TypeAlias = tuple[tuple[Name, RRset], ...]


def secure(query: Query, decided: Answer, authority: Authority, signer: Signer, now: float) -> Answer:
    """The answer to a query with DO, signed; one that says nothing about the zone stays as it is.

    `decided` is what `answer` made of the same arguments.
    """
    zone = authority.zone
    about_zone = query.class_ != CLASS_CH and is_within(query.name, zone.origin)
    if not about_zone or not (decided.answers or decided.authority):
        return decided
    if decided.authority and decided.authority[0][1].type == Type.NS:
        return _secure_referral(decided, zone, signer)
    if query.type in (Type.NSEC, Type.RRSIG):
        decided = _made_for_signing(query, decided, authority, signer, now)
    else:
        decided = replace(decided, answers=tuple(_signed(decided.answers, signer)))
    if decided.authority:
        decided = _secure_denial(query, decided, authority, signer, now)
    elif decided.additional:
        decided = replace(decided, additional=tuple(_signed_unless_glue(decided.additional, zone, signer)))
    return replace(decided, compact_ok=query.edns is not None and query.edns.compact_ok)


def is_lasting(signed: Answer) -> bool:
    """Whether the same question has the same answer until the zone or a list of addresses changes.

    Challenges come and go at any moment.
    """
    return not any(
        owner[0] == CHALLENGE_LABEL for section in (signed.answers, signed.authority) for owner, _ in section if owner
    )


def _signed(section: Iterable[tuple[Name, RRset]], signer: Signer) -> Iterator[tuple[Name, RRset]]:
    """Each record set with its signatures behind it."""
    for owner, rrset in section:
        yield owner, rrset
        yield owner, signer.rrsig(owner, rrset)


def _signed_unless_glue(section: _Section, zone: Zone, signer: Signer) -> Iterator[tuple[Name, RRset]]:
    """Addresses of name servers, signed but for those that a delegation has the say over (RFC 4035 §2.2)."""
    for owner, rrset in section:
        yield owner, rrset
        if zone.cut(owner) is None:
            yield owner, signer.rrsig(owner, rrset)


def _secure_referral(decided: Answer, zone: Zone, signer: Signer) -> Answer:
    """The child's keys, or the proof that the parent knows of none (RFC 4035 §3.1.4); NS and glue are the child's."""
    cut, servers = decided.authority[0]
    types = zone.nodes[cut].rrsets
    proof = types.get(Type.DS) or nsec(cut, types_at_cut(types), zone.negative_ttl, zone.origin)
    return replace(
        decided,
        answers=tuple(_signed(decided.answers, signer)),
        authority=((cut, servers), (cut, proof), (cut, signer.rrsig(cut, proof))),
    )


def _secure_denial(query: Query, decided: Answer, authority: Authority, signer: Signer, now: float) -> Answer:
    """SOA and NSEC at the name that lacks something: the name asked for, or where its aliases led.

    A name that does not exist is said to have only NXNAME. Then the response code is NOERROR, as it is for every name
    with an NSEC, unless the asker says that it understands (RFC 9824 §3.1, §5.1).
    """
    zone = authority.zone
    name = _end_of_aliases(query.name, decided.answers)
    found = authority.find(name, now)
    soa = decided.authority[0][1]
    denial = nsec(name, _types(name, found, zone), soa.ttl, zone.origin)
    rcode = decided.rcode
    if rcode == Rcode.NXDOMAIN and not (query.edns is not None and query.edns.compact_ok):
        rcode = Rcode.NOERROR
    return replace(decided, rcode=rcode, authority=tuple(_signed((*decided.authority, (name, denial)), signer)))


def _end_of_aliases(name: Name, answers: _Section) -> Name:
    for owner, rrset in answers:
        if rrset.type == Type.CNAME and owner == name:
            name = name_from_wire(rrset.rdatas[0])
    return name


def _types(name: Name, found: Node | None, zone: Zone) -> Iterable[int]:
    if found is None:
        return (Type.NXNAME,)
    return types_at_cut(found.rrsets) if name in zone.cuts else found.rrsets


def _made_for_signing(query: Query, decided: Answer, authority: Authority, signer: Signer, now: float) -> Answer:
    """NSEC and RRSIG are at every name that exists, beside a CNAME too; of the signatures one is enough (RFC 8482)."""
    zone, name = authority.zone, query.name
    found = authority.find(name, now)
    if found is None:
        return replace(decided, rcode=Rcode.NXDOMAIN, answers=(), authority=((zone.origin, zone.negative_soa()),))
    ttl = zone.negative_soa(found.negative_ttl).ttl
    denial = nsec(name, found.rrsets, ttl, zone.origin)
    if query.type == Type.NSEC:
        answers: _Section = tuple(_signed(((name, denial),), signer))
    else:
        signed = next(iter(found.rrsets.values()), denial)
        answers = ((name, signer.rrsig(name, signed)),)
    return replace(decided, rcode=Rcode.NOERROR, answers=answers, authority=(), additional=())
