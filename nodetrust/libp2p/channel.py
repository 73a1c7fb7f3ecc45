"""A two-way byte stream whose receiver can be changed while it runs.

A libp2p connection starts as a socket on which one protocol after the other takes its turn: multistream, a security
layer, multistream again, a muxer. Twisted has no agreed way to hand a transport from one protocol to the next, so this
is ours: every layer offers a `Channel` to the layer above it. A channel is an ordinary Twisted transport (and producer
and consumer), with two more verbs, `attach` and `detach`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ITransport,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

MAX_UNREAD_BYTES = 64 * 1024
"""What a channel without a protocol keeps before it stops reading from below; the last read comes on top of it."""


@implementer(ITransport, IConsumer, IPushProducer)
class Channel:
    """The upper half of every layer: what is read goes to the attached protocol, or is kept until there is one.

    A subclass is the lower half. It calls `deliver`, `deliver_end` and `deliver_lost` with news from below, and
    defines what it means to write, to close, and to stop and start reading (`pause_lower`, `resume_lower`).
    """

    disconnecting = False

    def __init__(self) -> None:
        self.protocol: IProtocol | None = None
        self._unread = bytearray()
        self._paused = False
        self._lower_paused = False
        self._ended = False
        self._lost: Failure | None = None

    # The upper side: who receives.

    def attach(self, protocol: IProtocol) -> None:
        """Give everything that arrives from now on to `protocol`, first of all what was kept.

        Calls `protocol.makeConnection(self)` and then, all before it returns, `dataReceived` with the kept bytes,
        `readConnectionLost` and `connectionLost` if those have happened meanwhile.
        """
        self.protocol = protocol
        self._paused = False
        protocol.makeConnection(self)
        self._deliver_kept()

    def detach(self, unread: bytes = b"") -> None:
        """Take the protocol away, without a `connectionLost`, and keep `unread` for the one that is attached next."""
        self.protocol = None
        self._paused = False
        self._unread[:0] = unread

    # The lower side: what has happened.

    def deliver(self, data: bytes) -> None:
        """Pass `data` up, or keep it while nobody is attached or the one who is has paused us."""
        if self.protocol is not None and not self._paused and not self._unread:
            self.protocol.dataReceived(data)
            return
        self._unread += data
        if len(self._unread) > MAX_UNREAD_BYTES:
            self._pause_lower_once()

    def deliver_end(self) -> None:
        """The remote side has finished writing; a protocol that knows no half-close loses the whole connection."""
        self._ended = True
        self._deliver_kept()

    def deliver_lost(self, reason: Failure) -> None:
        """The connection is gone. Kept bytes are still delivered if it ended cleanly; otherwise they go with it."""
        if self._lost is None:
            self._lost = reason
            if not isinstance(reason.value, ConnectionDone):
                self._unread.clear()
                self._paused = False
            self._deliver_kept()

    def _deliver_kept(self) -> None:
        protocol = self.protocol
        if protocol is None or self._paused:
            return
        if self._unread:
            data = bytes(self._unread)
            self._unread.clear()
            protocol.dataReceived(data)
        if self.protocol is not protocol or self._paused or self._unread:
            return
        if self._lower_paused:
            self._resume_lower_once()
        if self._ended:
            self._ended = False
            self._tell_end(protocol)
        if self._lost is not None and self.protocol is protocol:
            self.protocol = None
            protocol.connectionLost(self._lost)

    def _tell_end(self, protocol: IProtocol) -> None:
        half_closeable = IHalfCloseableProtocol(protocol, None)
        if half_closeable is not None:
            half_closeable.readConnectionLost()
        else:
            self.loseConnection()

    # IPushProducer: the attached protocol governs what is delivered to it.

    def pauseProducing(self) -> None:
        self._paused = True
        self._pause_lower_once()

    def resumeProducing(self) -> None:
        self._paused = False
        self._deliver_kept()
        if not self._paused:
            self._resume_lower_once()

    def stopProducing(self) -> None:
        self.loseConnection()

    def _pause_lower_once(self) -> None:
        if not self._lower_paused:
            self._lower_paused = True
            self.pause_lower()

    def _resume_lower_once(self) -> None:
        if self._lower_paused:
            self._lower_paused = False
            self.resume_lower()

    def peer_known(self) -> None:
        """Whose channel it is has been proven: from now on it may take more memory, if it has a use for it."""

    # What a subclass defines.

    def pause_lower(self) -> None:
        """Ask the layer below to deliver no more for now; what still comes is kept."""
        raise NotImplementedError

    def resume_lower(self) -> None:
        """Ask the layer below to deliver again."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        raise NotImplementedError

    def loseWriteConnection(self) -> None:
        """Write what is buffered, then tell the remote side that no more comes; reading goes on."""
        raise NotImplementedError

    def abortConnection(self) -> None:
        """Drop the connection now, unwritten bytes and all."""
        raise NotImplementedError

    def registerProducer(self, producer: object, streaming: bool) -> None:
        raise NotImplementedError

    def unregisterProducer(self) -> None:
        raise NotImplementedError

    def getPeer(self) -> IAddress:
        raise NotImplementedError

    def getHost(self) -> IAddress:
        raise NotImplementedError


@implementer(IHalfCloseableProtocol)
class TransportChannel(Channel, Protocol):
    """A channel on a transport of Twisted's own: a TCP socket, or TLS on top of a channel.

    It is the Twisted protocol of that transport (`makeConnection`, `dataReceived`, ... are called from below), and a
    channel to whatever is attached to it.
    """

    transport: Any  # an ITransport, IConsumer and IPushProducer, with abortConnection: no one type says so

    def dataReceived(self, data: bytes) -> None:
        self.deliver(data)

    def readConnectionLost(self) -> None:
        self.deliver_end()

    def writeConnectionLost(self) -> None:
        """Our own half-close went out: nobody above needs to be told."""

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted gives it a default
        self.deliver_lost(reason)

    def pause_lower(self) -> None:
        self.transport.pauseProducing()

    def resume_lower(self) -> None:
        if self._lost is None:
            self.transport.resumeProducing()

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.transport.writeSequence(data)

    def loseConnection(self) -> None:
        self.disconnecting = True
        self.transport.loseConnection()

    def loseWriteConnection(self) -> None:
        self.transport.loseWriteConnection()

    def abortConnection(self) -> None:
        self.disconnecting = True
        self.transport.abortConnection()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self.transport.unregisterProducer()

    def getPeer(self) -> IAddress:
        peer: IAddress = self.transport.getPeer()
        return peer

    def getHost(self) -> IAddress:
        here: IAddress = self.transport.getHost()
        return here
