"""DNS over TCP (RFC 7766): each message behind its length in two octets, any number on one connection, in order.

A peer can hold one unfinished message and one system read of queries here, and nothing for longer than a deadline says.
"""

from __future__ import annotations

import typing
from collections import OrderedDict

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.dns.limits.sources import IPV4_BYTES, pack_host
from nodetrust.dns.respond import Responder
from nodetrust.dns.wire import HEADER

MAX_QUERY_BYTES = 4096  # as over UDP; RFC 1035's 65535 is there for answers
FIRST_BYTE_SECONDS = 3.0  # a connection without a query is a mistake or an attack
MESSAGE_SECONDS = 3.0  # from a message's first byte to its last: no client writes it slower than that
IDLE_SECONDS = 10.0  # Knot's tcp-idle-timeout
STALLED_SECONDS = 10.0  # how long a peer may leave our answers unread
DEFAULT_MAX_CONNECTIONS = 1000  # at most 70 MB if all of them stall with full buffers
DEFAULT_MAX_PER_CLIENT = 100  # one resolver needs a handful; behind one address there may be a whole company
_LENGTH_BYTES = 2
_IPV6_CLIENT_BYTES = 7  # a /56, which is what one subscriber has (RIPE-690)


class _Transport(typing.Protocol):
    """What a stream needs of Twisted's TCP transport."""

    def write(self, data: bytes) -> None: ...
    def registerProducer(self, producer: object, streaming: bool) -> None: ...
    def unregisterProducer(self) -> None: ...
    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...
    def loseConnection(self) -> None: ...
    def abortConnection(self) -> None: ...


@implementer(IHalfCloseableProtocol, IPushProducer)
class DnsStream(Protocol):
    """One connection. It reads no further while the peer does not read the answers."""

    _out: _Transport

    def __init__(self, factory: DnsStreamFactory, source: bytes = b"") -> None:
        self.source = source
        """The peer's address, 4 or 16 octets."""
        self._factory = factory
        self._buffer = bytearray()
        self._paused = False
        self._ending = False
        self._in_message = False
        self._deadline: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """The first query is due."""
        self._out = typing.cast(_Transport, self.transport)
        self._factory.opened(self)
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)  # an answer waits for no other one
        self._out.registerProducer(self, True)
        self._expect(FIRST_BYTE_SECONDS)

    def dataReceived(self, data: bytes) -> None:
        """Answer the queries that are whole."""
        self._factory.used(self)
        self._buffer += data
        self._answer_all()

    def _answer_all(self) -> None:
        answered = False
        position = 0
        while not self._paused and len(self._buffer) >= position + _LENGTH_BYTES:
            begin = position + _LENGTH_BYTES
            length = int.from_bytes(self._buffer[position:begin], "big")
            if not HEADER.size <= length <= MAX_QUERY_BYTES:
                self._abort()
                return
            if len(self._buffer) < begin + length:
                break
            position = begin + length
            response = self._factory.responder.respond(
                bytes(self._buffer[begin:position]), udp=False, source=self.source
            )
            if response is None:  # whoever sends us responses is no resolver
                self._abort()
                return
            answered = True
            self._out.write(len(response).to_bytes(_LENGTH_BYTES, "big") + response)
        del self._buffer[:position]
        if not self._paused:
            self._await_more(answered)

    def _await_more(self, answered: bool) -> None:
        if self._ending:
            self._finish()
        elif not self._buffer:
            self._in_message = False
            self._expect(IDLE_SECONDS)
        elif answered or not self._in_message:  # the pieces of one message share one deadline
            self._in_message = True
            self._expect(MESSAGE_SECONDS)

    def pauseProducing(self) -> None:
        """The peer does not read: stop reading from it."""
        self._paused = True
        self._out.pauseProducing()
        self._expect(STALLED_SECONDS)

    def resumeProducing(self) -> None:
        """The peer reads again: answer what is waiting, and read on."""
        self._paused = False
        self._out.resumeProducing()
        self._in_message = False
        self._answer_all()

    def stopProducing(self) -> None:
        """The connection is lost; nothing more is to be written."""

    def readConnectionLost(self) -> None:
        """The peer has no more queries, but still waits for the answers."""
        self._ending = True
        if not self._paused:
            self._finish()

    def writeConnectionLost(self) -> None:
        """We never close that direction alone."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the connection."""
        self._factory.closed(self)
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()

    def _finish(self) -> None:
        """Close when the answers are out, which has a deadline too."""
        self._out.unregisterProducer()
        self._out.loseConnection()
        self._expect(STALLED_SECONDS)

    def _abort(self) -> None:
        self._buffer.clear()
        self._paused = True
        self._out.abortConnection()

    def _expect(self, seconds: float) -> None:
        """Abort unless something happens within `seconds`."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.reset(seconds)
        else:
            self._deadline = self._factory.clock.callLater(seconds, self._abort)

    def evict(self) -> None:
        """Make room for another connection."""
        self._abort()


class DnsStreamFactory(Factory):
    """The connections of one server. When there are too many, of one client or in all, the one unused for the longest
    goes. A client is an IPv4 address or an IPv6 /56."""

    noisy = False

    def __init__(
        self,
        responder: Responder,
        clock: IReactorTime,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        max_per_client: int = DEFAULT_MAX_PER_CLIENT,
    ) -> None:
        self.responder = responder
        self.clock = clock
        self.max_connections = max_connections
        self.max_per_client = max_per_client
        self.connections: OrderedDict[DnsStream, None] = OrderedDict()  # the one used last at the end
        self._by_client: dict[bytes, OrderedDict[DnsStream, None]] = {}

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """A stream for a new connection."""
        return DnsStream(self, pack_host(addr.host) if isinstance(addr, IPv4Address | IPv6Address) else b"")

    def opened(self, stream: DnsStream) -> None:
        """Called by a stream that begins."""
        own = self._by_client.setdefault(_client(stream.source), OrderedDict())
        if len(own) >= self.max_per_client:
            self._evict(next(iter(own)))
        elif len(self.connections) >= self.max_connections:
            self._evict(next(iter(self.connections)))
        self.connections[stream] = None
        self._by_client.setdefault(_client(stream.source), OrderedDict())[stream] = None
        self.responder.counters.tcp_accepted += 1

    def _evict(self, stream: DnsStream) -> None:
        """Close a connection for another one: at once in the tables, where the system may take its time."""
        self.closed(stream)
        self.responder.counters.tcp_evicted += 1
        stream.evict()

    def used(self, stream: DnsStream) -> None:
        """Called by a stream that got something."""
        if stream in self.connections:
            self.connections.move_to_end(stream)
            self._by_client[_client(stream.source)].move_to_end(stream)

    def closed(self, stream: DnsStream) -> None:
        """Called by a stream that has ended."""
        if stream in self.connections:
            del self.connections[stream]
            own = self._by_client[_client(stream.source)]
            del own[stream]
            if not own:
                del self._by_client[_client(stream.source)]

    def close_all(self) -> None:
        """End every connection now."""
        for stream in list(self.connections):
            stream.evict()


def _client(source: bytes) -> bytes:
    return source if len(source) == IPV4_BYTES else source[:_IPV6_CLIENT_BYTES]
