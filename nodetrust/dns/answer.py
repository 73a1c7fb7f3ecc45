"""The one function that decides every answer.

**Which names exist.** `<label>[.<anything>].<zone>`: the first label decides what a name has. So below *any* name there
are names that we answer (`ip41-2-3-4.<anything>.<zone>`), and a name between those and the zone may not be denied: a
resolver that asks label by label (RFC 9156) would stop there, and one that remembers NXDOMAIN would deny everything
below it (RFC 8020). Hence:

1. A name with records in the zone file, or whose first label one of the sources reads, has those records.
2. A label that begins like one of ours (`ip4`, `ip6`, `p`) and spells nothing does not exist, nor does anything below
   it: NXDOMAIN; unless the zone file has that name (an operator's `proof` or `pop` is a host like any other).
3. Every other name in the zone is an empty non-terminal: NODATA. NXDOMAIN for a name like `foo.<zone>`, as a plain zone
   file would have it, would cut off `ip41-2-3-4.foo.<zone>` at every resolver that has asked for `foo` before; to
   whoever mistypes a host's name both mean that there is no such host.
4. A wildcard of the zone file fills names of kinds 2 and 3, and leaves those of kind 1 alone (RFC 4592).

Delegations in the zone file cut off what is below them. Negative answers carry the SOA with the negative TTL
(RFC 2308).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nodetrust.dns.errors import BrokenLabel
from nodetrust.dns.labels import read_label
from nodetrust.dns.records import (
    CLASS_ANY,
    CLASS_CH,
    CLASS_IN,
    Name,
    Node,
    Rcode,
    RRset,
    Type,
    character_string,
    is_within,
    name_from_wire,
    text_rrset,
)
from nodetrust.dns.sources import Source
from nodetrust.dns.wire import NSID, Answer, Query
from nodetrust.dns.zone.zone import Zone

MAX_CNAMES = 8
"""CNAMEs followed within the zone before the rest is left to the resolver."""

_VERSION_NAMES = ((b"version", b"bind"), (b"version", b"server"))
_SERVER_ID_NAMES = ((b"hostname", b"bind"), (b"id", b"server"))

_EMPTY = Node()
_HINFO_RDATA = character_string(b"RFC8482") + character_string(b"")  # RFC 8482 §4.2


@dataclass(frozen=True, slots=True)
class Identity:
    """What the server tells about itself to whoever asks; nothing where it is empty."""

    version: bytes = b""
    """`version.bind` and `version.server`: at most 255 octets."""

    server_id: bytes = b""
    """`hostname.bind`, `id.server` (RFC 4892) and NSID (RFC 5001): which of several servers this is; as long."""


@dataclass(frozen=True, slots=True)
class Authority:
    """All that this server knows: the zone file, the sources in the order in which they are asked, and itself."""

    zone: Zone
    sources: tuple[Source, ...]
    identity: Identity = Identity()

    def find(self, name: Name, now: float) -> Node | None:
        """What is at a name of the zone, by the rules above but without delegations; None when it does not exist."""
        file_node = self.zone.nodes.get(name)
        if name == self.zone.origin:
            return file_node
        closest = self.zone.closest(name)
        try:
            made = self._make(name, len(name) - len(closest), now)
        except BrokenLabel:
            return file_node or self.zone.wildcard(closest)
        if made is None:
            return file_node or self.zone.wildcard(closest) or _EMPTY
        if file_node is None or not file_node.rrsets:
            return made
        if Type.CNAME in file_node.rrsets:
            return file_node
        return Node({**made.rrsets, **file_node.rrsets}, made.negative_ttl)

    def _make(self, name: Name, unknown: int, now: float) -> Node | None:
        """What the sources say; the first `unknown` labels are those below any name of the zone file."""
        labels = name[: len(name) - len(self.zone.origin)]
        for label in labels[1:unknown]:
            read_label(label)
        for source in self.sources:
            found = source.lookup(labels, now)
            if found is not None:
                return found
        return None


def answer(query: Query, authority: Authority, now: float) -> Answer:
    """The answer to a query, at the time `now` (seconds on the clock of the challenges)."""
    if query.edns is None:
        return _decide(query, authority, now)
    if query.edns.version:
        return Answer(Rcode.BADVERS)
    decided = Answer(Rcode.NOERROR) if query.asks_nothing else _decide(query, authority, now)
    server_id = authority.identity.server_id
    if server_id and any(code == NSID for code, _ in query.edns.options):
        return replace(decided, options=((NSID, server_id),))
    return decided


def _decide(query: Query, authority: Authority, now: float) -> Answer:
    """The answer but for what EDNS adds."""
    if query.class_ == CLASS_CH:
        return _chaos(query, authority.identity)
    if query.class_ not in (CLASS_IN, CLASS_ANY) or query.type in (Type.AXFR, Type.IXFR):
        return Answer(Rcode.REFUSED)
    if query.type == Type.NXNAME:  # RFC 9824 §3.5
        return Answer(Rcode.FORMERR)
    if not is_within(query.name, authority.zone.origin):
        return Answer(Rcode.REFUSED)
    found = _follow(query.name, query.type, authority, now)
    if query.class_ == CLASS_ANY:  # who does not know all classes cannot have the last word (RFC 1035 §6.2)
        return replace(found, authoritative=False)
    return found


def _chaos(query: Query, identity: Identity) -> Answer:
    """What the server tells about itself (RFC 4892), where the operator wants that."""
    text = b""
    if query.name in _VERSION_NAMES:
        text = identity.version
    elif query.name in _SERVER_ID_NAMES:
        text = identity.server_id
    if not text or query.type not in (Type.TXT, Type.ANY):
        return Answer(Rcode.REFUSED)
    return Answer(Rcode.NOERROR, True, ((query.name, text_rrset(0, text)),))


def _follow(name: Name, type_: int, authority: Authority, now: float) -> Answer:
    """Answer from the zone, along the CNAMEs that stay in it."""
    zone = authority.zone
    aliases: tuple[tuple[Name, RRset], ...] = ()
    for _ in range(MAX_CNAMES + 1):
        cut = zone.cut(name)
        if cut is not None and (name != cut or type_ != Type.DS):  # DS is the parent's to answer (RFC 4035 §3.1.4.1)
            return _referral(cut, aliases, zone)
        found = authority.find(name, now)
        if found is None:
            return _negative(Rcode.NXDOMAIN, aliases, zone, None)
        rrset = _any(found, zone) if type_ == Type.ANY else found.rrsets.get(type_)
        if rrset is not None:
            return Answer(Rcode.NOERROR, True, (*aliases, (name, rrset)), additional=_extra(rrset, zone))
        alias = found.rrsets.get(Type.CNAME)
        if alias is None:
            return _negative(Rcode.NOERROR, aliases, zone, found.negative_ttl)
        aliases = (*aliases, (name, alias))
        name = name_from_wire(alias.rdatas[0])
        if not is_within(name, zone.origin) or any(name == owner for owner, _ in aliases):
            break
    return Answer(Rcode.NOERROR, True, aliases)


def _negative(rcode: Rcode, aliases: tuple[tuple[Name, RRset], ...], zone: Zone, ttl: int | None) -> Answer:
    return Answer(rcode, True, aliases, ((zone.origin, zone.negative_soa(ttl)),))


def _referral(cut: Name, aliases: tuple[tuple[Name, RRset], ...], zone: Zone) -> Answer:
    """Send the resolver to the name servers of a delegation; it needs their addresses (RFC 9471)."""
    servers = zone.nodes[cut].rrsets[Type.NS]
    glue = zone.glue(servers)
    return Answer(Rcode.NOERROR, bool(aliases), aliases, ((cut, servers),), glue, needs_additional=bool(glue))


def _any(found: Node, zone: Zone) -> RRset | None:
    """ANY gets one small record set, never all of them (RFC 8482 §4)."""
    if not found.rrsets or Type.CNAME in found.rrsets:
        return found.rrsets.get(Type.CNAME)
    ttl = zone.negative_ttl if found.negative_ttl is None else found.negative_ttl
    return RRset(Type.HINFO, ttl, (_HINFO_RDATA,))


def _extra(rrset: RRset, zone: Zone) -> tuple[tuple[Name, RRset], ...]:
    """The addresses of name servers, to spare the resolver a query."""
    return zone.glue(rrset) if rrset.type == Type.NS else ()
