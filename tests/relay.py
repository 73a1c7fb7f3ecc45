"""A TCP relay in this process that can be cut, in each of the ways in which a network is."""

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol


class Relay:
    """Passes bytes on to `target()`, a host and a port that are asked for with every connection, until it is cut."""

    def __init__(self, reactor: Any, target: Any) -> None:
        self.reactor = reactor
        self.target = target
        self.way: str | None = None
        self.port: Any = None
        self._ends: set[_End] = set()

    async def start(self) -> int:
        """Listen; the port."""
        factory = Factory.forProtocol(lambda: _Accepted(self))
        self.port = await TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1").listen(factory)
        number: int = self.port.getHost().port
        return number

    async def stop(self) -> None:
        """Close everything."""
        await self.port.stopListening()
        for end in list(self._ends):
            end.transport.abortConnection()

    def cut(self, way: str) -> None:
        """From now on bytes are held back until `heal` (`held`), or those of these connections never come (`lost`), or
        connections are ended, and each new one at once (`ended`).
        """
        self.way = way
        for end in list(self._ends):
            if way == "ended":
                end.transport.abortConnection()
            else:
                end.transport.pauseProducing()

    def heal(self) -> None:
        """Pass bytes on again, but for those that are lost."""
        way, self.way = self.way, None
        for end in list(self._ends):
            if way == "held":
                end.resume()


class _End(Protocol):
    """One side of a relayed connection."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.other: _End | None = None

    def connectionMade(self) -> None:
        self.relay._ends.add(self)
        if self.relay.way == "ended":
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        if self.other is not None:
            self.other.transport.write(data)

    def connectionLost(self, reason: object = None) -> None:
        self.relay._ends.discard(self)
        if self.other is not None and self.relay.way != "lost":
            self.other.transport.loseConnection()

    def resume(self) -> None:
        """Go on."""
        self.transport.resumeProducing()


class _Accepted(_End):
    """The side that dialled us; reads nothing until the other side is there."""

    def connectionMade(self) -> None:
        super().connectionMade()
        self.transport.pauseProducing()
        if self.relay.way is None:
            self._dial()

    def resume(self) -> None:
        """Dial, if that was not possible before."""
        if self.other is None:
            self._dial()
        else:
            super().resume()

    def _dial(self) -> None:
        host, port = self.relay.target()
        endpoint = TCP4ClientEndpoint(self.relay.reactor, host, port)
        dialling = endpoint.connect(Factory.forProtocol(lambda: _End(self.relay)))
        dialling.addCallbacks(self._join, lambda _: self.transport.loseConnection())

    def _join(self, other: _End) -> None:
        self.other, other.other = other, self
        self.transport.resumeProducing()
