"""One address to answer DNS on: the same port over UDP and TCP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort

from nodetrust.dns.transport.sockets import DnsSockets
from nodetrust.dns.transport.tcp import DnsStreamFactory
from nodetrust.dns.transport.udp import UdpPort
from nodetrust.settings import HostPort


@dataclass(frozen=True, slots=True)
class DnsPort:
    """What answers at `place`."""

    place: HostPort
    udp: UdpPort
    tcp: IListeningPort

    async def close(self) -> None:
        """Let go of both; returns when they are closed and every datagram that had arrived is answered."""
        await DeferredList([maybeDeferred(port.stopListening) for port in (self.udp, self.tcp)], consumeErrors=True)

    def release(self) -> None:
        """Leave what arrives to another process that has these sockets too."""
        self.udp.release()
        maybeDeferred(self.tcp.stopListening)  # it closes the reactor's own descriptor


def answer_on(reactor: Any, sockets: DnsSockets, factory: DnsStreamFactory) -> DnsPort:
    """Answer on sockets, which are the port's from now on."""
    udp = UdpPort(reactor, sockets.udp, factory.responder)
    udp.startListening()
    tcp = reactor.adoptStreamPort(sockets.tcp.fileno(), sockets.tcp.family, factory)
    sockets.tcp.close()  # the reactor has made a descriptor of its own
    return DnsPort(sockets.place, udp, tcp)
