"""Messages with a varint length in front: what nearly every libp2p protocol puts on its streams."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.libp2p import varint
from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.errors import InvalidData, Libp2pError, MessageTooLong, StreamEnded, StreamReset, Timeout

if TYPE_CHECKING:
    from nodetrust.libp2p.connection import Connection


def encode_frame(message: bytes) -> bytes:
    """*message* with its length in front."""
    return varint.encode(len(message)) + message


class FrameDecoder:
    """Cuts arriving bytes into messages. Pure: bytes in, messages out, whatever the pieces they arrive in.

    It keeps at most one unfinished message of *max_bytes* beyond the piece it was last given. A longer one is refused
    as soon as its length has arrived. After an error the stream's boundaries are lost: close it, and feed no more.
    """

    __slots__ = ("_buffer", "_expected_bytes", "max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._buffer = bytearray()
        self._expected_bytes = 0  # until the buffer holds so many, there is nothing to look at

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun whose end has not arrived."""
        return bool(self._buffer)

    def receive_data(self, data: bytes) -> list[bytes]:
        """The messages that *data* completes, in order, without their lengths.

        :raise MessageTooLong: a message announces more than ``max_bytes``. Messages in front of it in the same piece
            are dropped with it.
        :raise InvalidVarint: a length that is none.
        """
        if not self._buffer:
            messages, end = self._cut(data)
            if end < len(data):
                self._buffer += data[end:]
            return messages
        self._buffer += data
        if len(self._buffer) < self._expected_bytes:
            return []
        messages, end = self._cut(self._buffer)
        del self._buffer[:end]
        return messages

    def take_unread(self) -> bytes:
        """Hand over the bytes that belong to no complete message, and forget them."""
        unread = bytes(self._buffer)
        self._buffer.clear()
        self._expected_bytes = 0
        return unread

    def _cut(self, data: bytes | bytearray) -> tuple[list[bytes], int]:
        """The whole messages in *data*, and the offset at which the unfinished one begins."""
        messages: list[bytes] = []
        position = 0
        self._expected_bytes = 0
        available = len(data)
        while position < available:
            length, begin = data[position], position + 1
            if length >= 0x80:  # only longer ones are worth a call
                header = varint.decode(data, position)
                if header is None:
                    break
                length, begin = header
            if length > self.max_bytes:
                raise MessageTooLong(length, self.max_bytes)
            end = begin + length
            if end > available:
                self._expected_bytes = end - position
                break
            messages.append(bytes(data[begin:end]))
            position = end
        return messages, position


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

    transport: Channel

    @property
    def stream(self) -> Channel:
        """The stream below; a Twisted transport."""
        return self.transport

    @property
    def connection(self) -> Connection:
        """The connection that the stream belongs to."""
        return self.stream.connection

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

    def finish_writing(self) -> None:
        """Send what was written, then close our half; reading goes on."""
        self.stream.loseWriteConnection()

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
