"""One address to answer DNS on: the same port over UDP and TCP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from nodetrust.dns.errors import CannotBind
from nodetrust.dns.tcp import DnsStreamFactory
from nodetrust.dns.udp import MAX_DATAGRAM_BYTES, DnsDatagrams
from nodetrust.settings import HostPort

TRIES = 20
"""How often a port of the system's choosing is tried, when TCP has none of the number that UDP got."""

BACKLOG = 256
"""Connections that the system holds until they are accepted."""


@dataclass(frozen=True, slots=True)
class DnsPort:
    """What is bound: `place` has the actual port number."""

    place: HostPort
    udp: IListeningPort
    tcp: IListeningPort

    async def close(self) -> None:
        """Let go of both; returns when they are closed."""
        await DeferredList([maybeDeferred(port.stopListening) for port in (self.udp, self.tcp)], consumeErrors=True)


def bind(reactor: Any, place: HostPort, factory: DnsStreamFactory, tries: int = TRIES) -> DnsPort:
    """Listen on an address, over UDP and TCP; port 0 means a number that both can have.

    Raises CannotBind with the system's reason.
    """
    try:
        udp = reactor.listenUDP(place.port, DnsDatagrams(factory.responder), place.host, MAX_DATAGRAM_BYTES)
    except CannotListenError as error:
        raise CannotBind(_reason(place, "UDP", error)) from error
    number = udp.getHost().port
    try:
        tcp = reactor.listenTCP(number, factory, BACKLOG, place.host)
    except CannotListenError as error:
        udp.stopListening()
        if place.port or tries == 1:
            raise CannotBind(_reason(place, "TCP", error)) from error
        return bind(reactor, place, factory, tries - 1)
    return DnsPort(HostPort(place.host, number), udp, tcp)


def _reason(place: HostPort, transport: str, error: CannotListenError) -> str:
    cause = error.socketError
    return f"cannot listen on {place} over {transport}: {getattr(cause, 'strerror', None) or cause}"
