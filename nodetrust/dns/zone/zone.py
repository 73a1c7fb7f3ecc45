"""The operator's own records: what a zone file said, checked, and arranged for lookups."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from nodetrust.dns.dnssec.sign import Signer
from nodetrust.dns.records import Name, Node, RRset, Type, name_from_wire

_WILDCARD = b"*"
_NUMBER = struct.Struct("!I")
_SERIAL_OFFSET = -20  # from the end of a SOA's data, before refresh, retry, expire and minimum


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone: every name of its file in lower case, the names in between as empty nodes.

    `nodes` has at least `origin`, with SOA and NS. Names below a delegation are in it too, as glue. `signer` signs the
    answers; without one they are not signed.
    """

    origin: Name
    nodes: Mapping[Name, Node]
    signer: Signer | None = None
    soa: RRset = field(init=False)
    cuts: frozenset[Name] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "soa", self.nodes[self.origin].rrsets[Type.SOA])
        cuts = frozenset(name for name, node in self.nodes.items() if Type.NS in node.rrsets and name != self.origin)
        object.__setattr__(self, "cuts", cuts)

    @property
    def negative_ttl(self) -> int:
        """How many seconds a resolver may remember that something is missing (RFC 2308 §5)."""
        (minimum,) = _NUMBER.unpack(self.soa.rdatas[0][-_NUMBER.size :])
        return min(self.soa.ttl, int(minimum))

    @property
    def serial(self) -> int:
        """The zone's version, as its SOA says."""
        (serial,) = _NUMBER.unpack_from(self.soa.rdatas[0], len(self.soa.rdatas[0]) + _SERIAL_OFFSET)
        return int(serial)

    def negative_soa(self, ttl: int | None = None) -> RRset:
        """The SOA for the authority section of a negative answer, to be remembered for `ttl` seconds at most."""
        seconds = self.negative_ttl if ttl is None else min(ttl, self.negative_ttl)
        return RRset(Type.SOA, seconds, self.soa.rdatas)

    def closest(self, name: Name) -> Name:
        """The deepest name of the file at or above `name`, which is in the zone."""
        for index in range(len(name) - len(self.origin)):
            if name[index:] in self.nodes:
                return name[index:]
        return self.origin

    def cut(self, name: Name) -> Name | None:
        """The delegation at or above `name`, the highest if there are several."""
        if self.cuts:
            for depth in range(len(self.origin) + 1, len(name) + 1):
                if name[-depth:] in self.cuts:
                    return name[-depth:]
        return None

    def wildcard(self, closest: Name) -> Node | None:
        """What the file says for the missing names just below `closest` (RFC 4592 §3.3.1)."""
        return self.nodes.get((_WILDCARD, *closest))

    def glue(self, targets: RRset) -> tuple[tuple[Name, RRset], ...]:
        """The addresses that the file has for the hosts that NS records name."""
        found = []
        for host in map(name_from_wire, targets.rdatas):
            node = self.nodes.get(host)
            if node is not None:
                found += [(host, node.rrsets[type_]) for type_ in (Type.A, Type.AAAA) if type_ in node.rrsets]
        return tuple(found)
