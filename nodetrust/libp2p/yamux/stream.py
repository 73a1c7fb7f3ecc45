"""A yamux stream as a Twisted transport."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol as Shape
from typing import cast

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IAddress, IDelayedCall, IHalfCloseableProtocol
from twisted.python.failure import Failure

from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.yamux.send_queue import SendQueue
from nodetrust.libp2p.yamux.wire import StreamCode

WRITE_BUFFER_BYTES = 64 * 1024
"""With more than this unsent, a stream's producer is paused (the limit of Twisted's own sockets).

Not less than a frame: what pauses a producer then takes a second turn to send, and the turn resumes it.
"""


class Producer(Shape):
    """What `registerProducer` takes: a pull or a push producer; only a push producer is ever paused."""

    def resumeProducing(self) -> None: ...

    def pauseProducing(self) -> None: ...

    def stopProducing(self) -> None: ...


class StreamOwner(Shape):
    """What a stream needs of its session."""

    def stream_writable(self, stream: YamuxStream) -> None:
        """There is something to send, or the end is to be sent: call `next_frame` when there is room."""

    def stream_consumed(self, stream: YamuxStream, size: int) -> None:
        """The reader took `size` bytes."""

    def stream_stopped_reading(self, stream: YamuxStream) -> None:
        """What still comes is to be dropped, and the stream to be reset if it does not end in bounded time."""

    def stream_reset(self, stream: YamuxStream, code: int, reason: Failure) -> None:
        """Drop the stream, and tell it `lost` with `reason`, soon."""

    def stream_peer(self) -> IAddress: ...

    def stream_host(self) -> IAddress: ...


class YamuxStream(Channel):
    """One stream. Its writes wait for the remote side's window; its unread bytes keep our own window shut.

    `loseConnection` sends what is buffered (waiting for a registered producer to finish, as sockets do), then FIN, and
    reads no more; `loseWriteConnection` sends FIN and reads on; `abortConnection` resets. When both sides have finished
    writing, the protocol gets a `connectionLost` with `ConnectionDone`; after a reset a `StreamResetError`.
    """

    def __init__(self, owner: StreamOwner, stream_id: int) -> None:
        super().__init__()
        self.stream_id = stream_id
        self.queue = SendQueue()
        self.scheduled = False
        self.remote_ended = False
        self.deadline: IDelayedCall | None = None
        self._owner = owner
        self._charged = 0
        self._reading = True
        self._end_wanted = self._end_sent = self._gone = False
        self._producer: Producer | None = None
        self._streaming = self._producer_paused = False

    # Writing.

    def write(self, data: bytes) -> None:
        self.writeSequence((data,))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        if self._end_sent or self._gone or (self._end_wanted and self._producer is None):
            return
        for piece in data:
            self.queue.append(bytes(piece))
        self._owner.stream_writable(self)
        if self.queue.size > WRITE_BUFFER_BYTES and self._producer is not None and self._streaming:
            self._pause_producer(self._producer)

    def _pause_producer(self, producer: Producer) -> None:
        if not self._producer_paused:
            self._producer_paused = True
            producer.pauseProducing()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        producer = cast(Producer, producer)
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        if self._gone or self._end_sent:
            producer.stopProducing()
            return
        self._producer, self._streaming, self._producer_paused = producer, streaming, False
        if not streaming:
            self._owner.stream_writable(self)

    def unregisterProducer(self) -> None:
        self._producer = None
        if self._end_wanted and not self._gone:
            self._owner.stream_writable(self)

    def refill(self) -> None:
        """Let the producer write when little is left to send. Called by the session before it takes a frame."""
        producer = self._producer
        if producer is None:
            return
        if not self._streaming:
            if self.queue.size == 0:
                producer.resumeProducing()
        elif self._producer_paused and self.queue.size < WRITE_BUFFER_BYTES:
            self._producer_paused = False
            producer.resumeProducing()

    @property
    def wants_turn(self) -> bool:
        """Whether a pull producer may have more to give although nothing is queued."""
        return self._producer is not None and not self._streaming

    @property
    def end_due(self) -> bool:
        """Whether all is sent that will ever be, and only FIN is missing."""
        return self._end_wanted and not self._end_sent and self.queue.size == 0 and self._producer is None

    def end_sent(self) -> None:
        """FIN is on its way; a protocol that knows half-closing is told so."""
        self._end_sent = True
        if self.disconnecting or self.protocol is None:
            return
        half_closeable = IHalfCloseableProtocol(self.protocol, None)
        if half_closeable is not None:
            half_closeable.writeConnectionLost()

    # Closing.

    def loseWriteConnection(self) -> None:
        if not self._end_wanted and not self._gone:
            self._end_wanted = True
            self._owner.stream_writable(self)

    def loseConnection(self) -> None:
        if self.disconnecting or self._gone:
            return
        self.disconnecting = True
        self._stop_reading()
        self._owner.stream_stopped_reading(self)
        self._end_wanted = True
        self._owner.stream_writable(self)

    def abortConnection(self) -> None:
        self.reset(StreamCode.NONE)

    def reset(self, code: int) -> None:
        """Abort, and tell the remote side why: a `StreamCode`."""
        if not self._gone:
            self.disconnecting = True
            self._stop_reading()
            self._owner.stream_reset(self, code, Failure(ConnectionAborted()))

    def _stop_reading(self) -> None:
        self._reading = False
        self._paused = False
        self._unread.clear()

    def lost(self, reason: Failure) -> None:
        """The stream is gone, as `reason` says; whoever writes or reads is told."""
        if self._gone:
            return
        self._gone = True
        self.queue.clear()
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        self.deliver_lost(reason)

    # Reading.

    def deliver(self, data: bytes) -> None:
        if self._reading:
            self._charged += len(data)
            super().deliver(data)
            self._account()

    def deliver_end(self) -> None:
        self.remote_ended = True
        if self._reading:
            super().deliver_end()

    def _deliver_kept(self) -> None:
        super()._deliver_kept()
        self._account()

    def _account(self) -> None:
        """Report what the reader has taken since the last time; what a `detach` gave back counts as not taken."""
        taken = self._charged - len(self._unread)
        if taken and self._reading:
            self._charged -= taken
            self._owner.stream_consumed(self, taken)

    def pause_lower(self) -> None:
        """Nothing to do: bytes that are not consumed keep the window shut."""

    def resume_lower(self) -> None:
        """Nothing to do: the consumption of what was kept opens the window."""

    def getPeer(self) -> IAddress:
        """The address of the connection that carries the stream."""
        return self._owner.stream_peer()

    def getHost(self) -> IAddress:
        """Our address of the connection that carries the stream."""
        return self._owner.stream_host()
