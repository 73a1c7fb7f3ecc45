"""Our side of the two protocols that every test peer serves (`peers/js/streams.mjs` says what they are)."""

import hashlib
from dataclasses import dataclass

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.host import Host

ECHO = "/nodetrust-test/echo/1.0.0"
DIGEST = "/nodetrust-test/digest/1.0.0"

CHUNK_BYTES = 65536
STREAM_SECONDS = 60


def pattern(length: int) -> bytes:
    """The byte at offset n is n * 7 + (n >> 8): a lost, doubled or swapped piece shows."""
    return bytes((n * 7 + (n >> 8)) & 0xFF for n in range(length))


@implementer(IHalfCloseableProtocol)
class Echo(Protocol):
    """Sends back what it gets; a remote side that does not read stops us from reading, too."""

    transport: Channel

    def connectionMade(self) -> None:
        self.transport.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)

    def readConnectionLost(self) -> None:
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """It was we who half-closed."""


@implementer(IHalfCloseableProtocol)
class Digest(Protocol):
    """Answers the SHA-256 of everything, once the remote side has half-closed."""

    transport: Channel

    def connectionMade(self) -> None:
        self.read = hashlib.sha256()

    def dataReceived(self, data: bytes) -> None:
        self.read.update(data)

    def readConnectionLost(self) -> None:
        self.transport.write(self.read.hexdigest().encode())
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """It was we who half-closed."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class SendAndReceive(Protocol):
    """Sends `data` as fast as the transport takes it, half-closes, and keeps what comes back until its end."""

    transport: Channel

    def __init__(self, data: bytes) -> None:
        self.received = bytearray()
        self.over: Deferred[bytes] = Deferred()
        self._data = memoryview(data)
        self._paused = False
        self._sending = True

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        while self._data and not self._paused:
            piece, self._data = self._data[:CHUNK_BYTES], self._data[CHUNK_BYTES:]
            self.transport.write(bytes(piece))
        if not self._data and self._sending:
            self._sending = False
            self.transport.unregisterProducer()
            self.transport.loseWriteConnection()

    def stopProducing(self) -> None:
        self._data = memoryview(b"")

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def readConnectionLost(self) -> None:
        if not self.over.called:
            self.over.callback(bytes(self.received))
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """It was we who half-closed."""

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted gives it a default
        if not self.over.called:
            self.over.errback(reason)


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back on a stream, and the seconds from its opening to its end."""

    data: bytes
    seconds: float


async def send_and_receive(connection: Connection, protocol_id: str, data: bytes) -> Returned:
    """Send `data` on a new stream and half-close; what the peer sent until it closed."""
    stream: Channel = await connection.open_stream([protocol_id])
    protocol = SendAndReceive(data)
    started = reactor.seconds()
    stream.attach(protocol)
    received = await protocol.over.addTimeout(STREAM_SECONDS, reactor)
    return Returned(received, reactor.seconds() - started)


def handle_streams(host: Host) -> None:
    """Serve both protocols."""
    host.handle(ECHO, Factory.forProtocol(Echo))
    host.handle(DIGEST, Factory.forProtocol(Digest))
