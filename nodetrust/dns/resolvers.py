"""Each source as a `twisted.names` resolver, to put its names into any Twisted name server:

    chain = [Ip4Resolver("example.org"), Ip6Resolver("example.org"), PeerResolver("example.org")]
    factory = twisted.names.server.DNSServerFactory(clients=chain)

A name of another kind fails with DomainError, so that the next resolver is asked; one that is ours and does not exist
fails with AuthoritativeDomainError, which ends the search. `twistd nodetrust-dns` asks the same lookups through
`answer`, since the server classes of twisted.names are not made for the open internet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from typing import TypeAlias

from twisted.internet.defer import Deferred, fail, succeed
from twisted.names import dns
from twisted.names.common import ResolverBase
from twisted.names.error import AuthoritativeDomainError, DomainError

from nodetrust.dns.challenges.table import ChallengeTable
from nodetrust.dns.errors import BrokenLabel
from nodetrust.dns.records import Name, Node, RRset, is_within, name_to_text, parse_name
from nodetrust.dns.sources import (
    DEFAULT_TTL,
    AutoTlsSource,
    ChallengeSource,
    Ip4Source,
    Ip6Source,
    PeerSource,
    Policy,
    Source,
    every_address,
)
from nodetrust.dns.zone.zone import Zone

Records: TypeAlias = tuple[list[dns.RRHeader], list[dns.RRHeader], list[dns.RRHeader]]


class LabelResolver(ResolverBase):
    """The base: names below `zone`, found by `find`, as the records of twisted.names."""

    def __init__(self, zone: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # twisted.names has no types
        self.origin = parse_name(zone)

    def find(self, name: Name) -> Node | None:
        """What is at a name of the zone; None when it is not of this resolver's kind. Raises BrokenLabel."""
        raise NotImplementedError

    def _lookup(self, name: bytes, cls: int, type: int, timeout: object) -> Deferred[Records]:
        labels = tuple(name.lower().removesuffix(b".").split(b"."))
        if not is_within(labels, self.origin):
            return fail(DomainError(name))
        try:
            found = self.find(labels)
        except BrokenLabel:
            return fail(AuthoritativeDomainError(name))
        if found is None:
            return fail(DomainError(name))
        rrset = found.rrsets.get(type)
        return succeed((_headers(name, rrset) if rrset else [], [], []))


class SourceResolver(LabelResolver):
    """The names that one source makes below `zone`; `seconds` is the clock of the challenges."""

    def __init__(self, zone: str, source: Source, seconds: Callable[[], float] = time.monotonic) -> None:
        super().__init__(zone)
        self.source = source
        self.seconds = seconds

    def find(self, name: Name) -> Node | None:
        """Ask the source."""
        labels = name[: len(name) - len(self.origin)]
        return self.source.lookup(labels, self.seconds()) if labels else None


class Ip4Resolver(SourceResolver):
    """A records of `ip4…` names."""

    def __init__(self, zone: str, ttl: int = DEFAULT_TTL, policy: Policy = every_address) -> None:
        super().__init__(zone, Ip4Source(ttl, policy))


class Ip6Resolver(SourceResolver):
    """AAAA records of `ip6…` names."""

    def __init__(self, zone: str, ttl: int = DEFAULT_TTL, policy: Policy = every_address) -> None:
        super().__init__(zone, Ip6Source(ttl, policy))


class PeerResolver(SourceResolver):
    """TXT records of `p…` names."""

    def __init__(self, zone: str, ttl: int = DEFAULT_TTL) -> None:
        super().__init__(zone, PeerSource(ttl))


class AutoTlsResolver(SourceResolver):
    """A and AAAA records of AutoTLS names."""

    def __init__(self, zone: str, ttl: int = DEFAULT_TTL, policy: Policy = every_address) -> None:
        super().__init__(zone, AutoTlsSource(ttl, policy))


class ChallengeResolver(SourceResolver):
    """TXT records of `_acme-challenge…` names; `seconds` is the clock by which the table was filled."""

    def __init__(self, zone: str, table: ChallengeTable, seconds: Callable[[], float] = time.monotonic) -> None:
        super().__init__(zone, ChallengeSource(parse_name(zone), table), seconds)


class ZoneResolver(LabelResolver):
    """The records of a zone file; names that it does not have are left to the resolvers after it."""

    def __init__(self, zone: Zone) -> None:
        super().__init__(name_to_text(zone.origin))
        self.zone = zone

    def find(self, name: Name) -> Node | None:
        """What the file has at this name or by a wildcard."""
        return self.zone.nodes.get(name) or self.zone.wildcard(self.zone.closest(name))


def _headers(name: bytes, rrset: RRset) -> list[dns.RRHeader]:
    return [
        dns.RRHeader(name, rrset.type, dns.IN, rrset.ttl, _payload(rrset.type, rrset.ttl, rdata), auth=True)
        for rdata in rrset.rdatas
    ]


def _payload(type_: int, ttl: int, rdata: bytes) -> dns.IEncodableRecord:
    """Twisted's own object for a record of ours; its decoder reads uncompressed data as well."""
    kind = dns.Message().lookupRecordType(type_)
    payload = kind(ttl=ttl)
    payload.decode(BytesIO(rdata), len(rdata))
    return payload
