"""Whether the DNS answers with a challenge's value: before that, the CA would look in vain, and count it as a failure.

The resolver of this machine is asked, and each of the zone's own servers that can be found and reached: they are what
the CA asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IResolver
from twisted.internet.task import deferLater
from twisted.names import dns
from twisted.names.client import Resolver
from twisted.names.error import AuthoritativeDomainError, DomainError, ResolverError
from twisted.python.failure import Failure

from nodetrust.client.autotls.errors import NotVisible

VISIBLE_SECONDS = 180.0
"""For a value to be seen everywhere: the AutoTLS specification's DNS timeout."""

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 10.0
"""Pauses double between these; the TXT records of brokers live for ten seconds."""

MAX_SERVERS = 8
"""Of a zone, that are asked themselves."""

QUERY_SECONDS = (2, 4)

_DENIALS = (DomainError, AuthoritativeDomainError)
_FAILURES = (*_DENIALS, ResolverError, dns.DNSQueryTimeoutError, TimeoutError, OSError)


def system_resolver(reactor: Any, configuration: Path = Path("/etc/resolv.conf")) -> IResolver:
    """Asks whom this machine asks. It keeps nothing, neither answers nor a timer."""
    try:
        lines = configuration.read_text("ascii", "replace").splitlines()
    except OSError:
        lines = []
    words = [line.split() for line in lines]
    servers = [(line[1], dns.PORT) for line in words if len(line) > 1 and line[0] == "nameserver"]
    return Resolver(servers=servers or [("127.0.0.1", dns.PORT)], reactor=reactor)


async def wait_until_visible(
    reactor: Any, resolver: IResolver, name: str, value: str, zone: str, *, dns_port: int = dns.PORT
) -> None:
    """Return when everybody who answers for `name` answers with the TXT record `value`. Raises `NotVisible`.

    `dns_port` is where the zone's own servers are asked.
    """
    give_up = reactor.seconds() + VISIBLE_SECONDS
    asked = {"the resolver": resolver, **await _servers_of(reactor, resolver, zone, dns_port)}
    pause = FIRST_PAUSE_SECONDS
    while True:
        seen = await gatherResults([_look(one, name, value) for one in asked.values()])
        hidden = [who for who, found in zip(asked, seen, strict=True) if found is False]
        if not hidden and True in seen:
            return
        if reactor.seconds() + pause > give_up:
            raise NotVisible(_complaint(name, hidden))
        await deferLater(reactor, pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _complaint(name: str, hidden: Sequence[str]) -> str:
    if not hidden:
        return f"nobody answers for {name}: neither the resolver nor a server of the zone"
    return f"{name} has not the broker's value after {VISIBLE_SECONDS:g} seconds, say {', '.join(hidden)}"


def _look(resolver: IResolver, name: str, value: str) -> Deferred[bool | None]:
    """Whether the value is there; None where nobody answers."""

    def found(sections: tuple[list[dns.RRHeader], object, object]) -> bool:
        payloads = [record.payload for record in sections[0] if record.type == dns.TXT]
        return any(isinstance(one, dns.Record_TXT) and b"".join(one.data) == value.encode() for one in payloads)

    def failed(failure: Failure) -> bool | None:
        failure.trap(*_FAILURES)
        return False if failure.check(*_DENIALS) else None

    looking: Deferred[Any] = resolver.lookupText(name, timeout=QUERY_SECONDS)
    return looking.addCallbacks(found, failed)


async def _servers_of(reactor: Any, resolver: IResolver, zone: str, port: int) -> dict[str, IResolver]:
    """The zone's own servers, by their addresses; none where they cannot be found."""
    names = await _records(resolver.lookupNameservers(zone, timeout=QUERY_SECONDS), dns.NS)
    lookups = [_records(resolver.lookupAddress(str(one.name), timeout=QUERY_SECONDS), dns.A) for one in names]
    found = await gatherResults(lookups[:MAX_SERVERS])
    ips = dict.fromkeys(record.dottedQuad() for records in found for record in records)
    return {ip: Resolver(servers=[(ip, port)], reactor=reactor) for ip in list(ips)[:MAX_SERVERS]}


def _records(looking: Deferred[Any], kind: int) -> Deferred[list[Any]]:
    def pick(sections: tuple[list[dns.RRHeader], object, object]) -> list[Any]:
        return [record.payload for record in sections[0] if record.type == kind]

    def nothing(failure: Failure) -> list[Any]:
        failure.trap(*_FAILURES)
        return []

    return looking.addCallbacks(pick, nothing)
