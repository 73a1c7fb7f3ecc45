"""Whole messages on a stream, for protocols that are written as a coroutine."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.libp2p.connection import Connection, Stream
from nodetrust.libp2p.errors import InvalidData, Libp2pError, StreamEnded, StreamReset, Timeout
from nodetrust.libp2p.framing import FrameDecoder, encode_frame

MAX_UNREAD_MESSAGES = 64
"""How many whole messages wait for `read` before the stream is paused; what one read brings comes on top."""


@implementer(IHalfCloseableProtocol)
class MessageStream(Protocol):
    """Whole messages on a stream, for a coroutine that reads one after the other.

    Unread messages are bounded: beyond `max_bytes` or `MAX_UNREAD_MESSAGES` of them the stream is paused, and the
    remote side's window closes. `timeout` seconds bound each `read`; None means no bound.
    """

    def __init__(self, max_bytes: int, clock: IReactorTime, timeout: float | None = None) -> None:
        self._decoder = FrameDecoder(max_bytes)
        self._clock = clock
        self._timeout = timeout
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._paused = False
        self._reader: Deferred[bytes] | None = None
        self._end: Libp2pError | None = None

    transport: Stream

    @property
    def stream(self) -> Stream:
        """The stream below; a Twisted transport."""
        return self.transport

    @property
    def connection(self) -> Connection:
        """The connection that the stream belongs to."""
        return self.stream.connection

    @property
    def has_unread(self) -> bool:
        """Whether `read` has a message at once."""
        return bool(self._unread)

    @property
    def ended(self) -> bool:
        """Whether nothing comes any more but what is unread: the remote side has ended it, is gone, or broke a rule."""
        return self._end is not None

    async def read(self) -> bytes:
        """The next message.

        Raise StreamEnded when the remote side has closed its half instead, StreamReset when it or the connection is
        gone, MessageTooLong or InvalidVarint for a frame that is none, Timeout when nothing whole came in time. None of
        these closes our side.
        """
        if self._unread:
            return self._take()
        if self._end is not None:
            raise self._end
        if self._reader is not None:
            raise RuntimeError("A MessageStream has one reader at a time")
        self._reader = Deferred(self._forget_reader)
        if self._timeout is not None:
            self._reader.addTimeout(self._timeout, self._clock, _timed_out)
        return await self._reader

    def write(self, message: bytes) -> None:
        """Send one message; its length is put in front."""
        self.stream.write(encode_frame(message))

    def close(self) -> None:
        """Send what was written, close our half, and read no more."""
        self.stream.loseConnection()

    def abort(self) -> None:
        """Reset the stream: the remote side sees an error, not an end."""
        self.stream.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._end is not None:
            return
        try:
            messages = self._decoder.receive_data(data)
        except InvalidData as reason:
            self._finish(reason)
            return
        for message in messages:
            self._unread.append(message)
            self._unread_bytes += len(message)
        if self._unread and self._reader is not None:
            reader, self._reader = self._reader, None
            reader.callback(self._take())
        if not self._paused and self._is_full():
            self._paused = True
            self.stream.pauseProducing()

    def readConnectionLost(self) -> None:
        inside = " in the middle of a message" if self._decoder.unfinished else ""
        self._finish(StreamEnded(f"the remote side ended the stream{inside}"))

    def writeConnectionLost(self) -> None:
        """Our half-close went out; the one who asked for it knows."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if isinstance(reason.value, ConnectionDone):
            self.readConnectionLost()
        else:
            self._finish(StreamReset(reason.getErrorMessage()))

    def _take(self) -> bytes:
        message = self._unread.popleft()
        self._unread_bytes -= len(message)
        if self._paused and not self._is_full():
            self._paused = False
            self.stream.resumeProducing()
        return message

    def _is_full(self) -> bool:
        return self._unread_bytes > self._decoder.max_bytes or len(self._unread) > MAX_UNREAD_MESSAGES

    def _finish(self, reason: Libp2pError) -> None:
        if self._end is not None:
            return
        self._end = reason
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reader.errback(reason)

    def _forget_reader(self, _: Deferred[bytes]) -> None:
        self._reader = None


def _timed_out(_: object, seconds: float) -> object:
    raise Timeout(f"no message within {seconds:g} seconds")
