"""Messages with a varint length in front, which nearly every libp2p protocol puts on its streams. Pure."""

from __future__ import annotations

from nodetrust.libp2p import varint
from nodetrust.libp2p.errors import MessageTooLong


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
