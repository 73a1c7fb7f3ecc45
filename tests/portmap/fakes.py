"""A gateway that answers datagrams in memory, and a reactor whose sockets lead to it."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock

from nodetrust.portmap.mapping import Place, Wanted

PLACE = Place(IPv4Address("192.168.1.1"), IPv4Address("192.168.1.20"))
WANTED = Wanted(4443, 4443, "nodetrust", 3600)
SOURCE = (str(PLACE.gateway), 5351)


class DatagramReactor(Clock):
    """Each datagram goes to `hear`, which returns what comes back: octets from the gateway, or (octets, source)."""

    def __init__(self, hear: Callable[[bytes, Any], list[Any]]) -> None:
        super().__init__()
        self.hear = hear
        self.sent: list[tuple[bytes, Any]] = []
        self.protocols: list[Any] = []
        self.open = 0
        self.full = False
        self.unreachable = False

    def listenUDP(self, port: int, protocol: Any) -> FakePort:
        if self.full:
            raise CannotListenError("", port, OSError("Too many open files"))
        return FakePort(self, protocol)

    def listenMulticast(self, port: int, protocol: Any, interface: str) -> FakePort:
        return self.listenUDP(port, protocol)

    def settle(self, seconds: float = 0) -> None:
        """Let what is due happen, and then what comes of that."""
        self.advance(seconds)
        for _ in range(50):
            self.advance(0)


class FakePort:
    def __init__(self, reactor: DatagramReactor, protocol: Any) -> None:
        self.reactor = reactor
        self.protocol = protocol
        self.peer: Any = None
        reactor.open += 1
        reactor.protocols.append(protocol)
        protocol.makeConnection(self)

    def connect(self, host: str, port: int) -> None:
        if self.reactor.unreachable:
            raise OSError(101, "Network is unreachable")
        self.peer = (host, port)

    async def setOutgoingInterface(self, address: str) -> None:
        pass

    def write(self, data: bytes, address: Any = None) -> None:
        if self.reactor.unreachable:
            raise OSError(101, "Network is unreachable")
        to = address or self.peer
        self.reactor.sent.append((data, to))
        for answer in self.reactor.hear(data, to):
            octets, source = answer if isinstance(answer, tuple) else (answer, to)
            self.reactor.callLater(0, self._deliver, octets, source)

    def _deliver(self, octets: bytes, source: Any) -> None:
        if self.protocol.transport is not None:
            self.protocol.datagramReceived(octets, source)

    def stopListening(self) -> None:
        self.reactor.open -= 1
        if self.protocol.numPorts:
            self.protocol.doStop()
