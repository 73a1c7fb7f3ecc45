"""ping: 32 bytes there and back (libp2p/specs `ping/ping.md`)."""

from __future__ import annotations

from collections import Counter

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import StreamReset, Timeout
from nodetrust.libp2p.streams import StreamAddress

PROTOCOL_ID = "/ipfs/ping/1.0.0"
PING_BYTES = 32
IDLE_SECONDS = 10.0
"""A listener drops the stream after so long without a ping, as go-libp2p does; a ping itself may take as long."""
MAX_INBOUND_STREAMS = 2
"""Ping streams that one peer may hold open on a connection (the specification's bound)."""


async def ping(connection: Connection, payload: bytes, clock: IReactorTime, seconds: float = IDLE_SECONDS) -> float:
    """The round-trip time in seconds of `payload` (32 random bytes). Raises Timeout, StreamReset, NegotiationError."""
    stream = await connection.open_stream([PROTOCOL_ID], lazy=True)
    pinger = _Pinger(payload, clock)
    pinger.answered.addTimeout(seconds, clock, _timed_out)
    stream.attach(pinger)
    return await pinger.answered


def _timed_out(_: object, seconds: float) -> object:
    raise Timeout(f"no answer to a ping within {seconds:g} seconds")


class _Pinger(Protocol):
    transport: Channel

    def __init__(self, payload: bytes, clock: IReactorTime) -> None:
        self.answered: Deferred[float] = Deferred(lambda _: self.transport.abortConnection())
        self._payload = payload
        self._clock = clock
        self._sent_at = 0.0
        self._received = b""

    def connectionMade(self) -> None:
        self._sent_at = self._clock.seconds()
        self.transport.write(self._payload)

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        if len(self._received) < PING_BYTES or self.answered.called:
            return
        if self._received == self._payload:
            self.transport.loseConnection()
            self.answered.callback(self._clock.seconds() - self._sent_at)
        else:
            self.transport.abortConnection()
            self.answered.errback(StreamReset("the answer to a ping has other bytes than the ping"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.answered.called:
            self.answered.errback(StreamReset(f"the stream ended before the ping came back: {reason.value}"))


class PingResponder:
    """Answers pings."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._open: Counter[Connection] = Counter()

    def buildProtocol(self, addr: StreamAddress) -> Protocol | None:
        if self._open[addr.connection] >= MAX_INBOUND_STREAMS:
            return None
        self._open[addr.connection] += 1
        return _Echo(self, addr.connection, self._clock)

    def closed(self, connection: Connection) -> None:
        """One of the connection's ping streams is gone."""
        self._open[connection] -= 1
        if not self._open[connection]:
            del self._open[connection]


@implementer(IHalfCloseableProtocol)
class _Echo(Protocol):
    """Sends whole pings back. Nothing is written that was not read, so a peer that reads nothing gets no further."""

    transport: Channel

    def __init__(self, responder: PingResponder, connection: Connection, clock: IReactorTime) -> None:
        self._responder = responder
        self._connection = connection
        self._clock = clock
        self._unanswered = b""
        self._idle: IDelayedCall

    def connectionMade(self) -> None:
        self._idle = self._clock.callLater(IDLE_SECONDS, self.transport.abortConnection)
        self.transport.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        self._unanswered += data
        whole = len(self._unanswered) - len(self._unanswered) % PING_BYTES
        if whole:
            self._idle.reset(IDLE_SECONDS)
            self.transport.write(self._unanswered[:whole])
            self._unanswered = self._unanswered[whole:]

    def readConnectionLost(self) -> None:
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our own end went out."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._idle.active():
            self._idle.cancel()
        self._responder.closed(self._connection)
