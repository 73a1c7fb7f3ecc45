"""Frames: twelve bytes of header, and for Data frames a payload (libp2p/specs yamux §Framing).

All numbers are big-endian: version u8, type u8, flags u16, stream u32, length u32. What `length` means depends on the
type: the size of the payload (Data), an addition to the window of whoever receives it (WindowUpdate; with RST an error
code of go's), a value to echo (Ping), a reason (GoAway).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

HEADER_BYTES = 12
_HEADER = struct.Struct(">BBHII")


class FrameType(enum.IntEnum):
    """What a frame is; only DATA is followed by a payload."""

    DATA = 0
    WINDOW_UPDATE = 1
    PING = 2
    GO_AWAY = 3


# Flags, plain integers because they are tested once or more for every frame.
SYN = 1
ACK = 2
FIN = 4
RST = 8


class SessionCode(enum.IntEnum):
    """Why a session ends: the length of a GoAway frame. Numbers from 0x1000 are go-libp2p's."""

    NORMAL = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    RESOURCE_LIMIT = 0x1001
    RATE_LIMITED = 0x1002


class StreamCode(enum.IntEnum):
    """Why a stream is reset: the length of a WindowUpdate frame with RST (go-yamux v5; others send 0)."""

    NONE = 0
    RESOURCE_LIMIT = 0x1002
    PROTOCOL_VIOLATION = 0x1004
    GARBAGE_COLLECTED = 0x1006


class Header(NamedTuple):
    """One decoded header; `type` and `flags` are as they came, known or not."""

    version: int
    type: int
    flags: int
    stream_id: int
    length: int


def encode(frame_type: FrameType, flags: int, stream_id: int, length: int) -> bytes:
    """A frame without payload."""
    return _HEADER.pack(0, frame_type, flags, stream_id, length)


def encode_data(stream_id: int, pieces: Iterable[bytes | memoryview], size: int, flags: int = 0) -> bytes:
    """A Data frame whose payload are all `pieces`, `size` bytes together, in the one copy that this needs."""
    return b"".join((_HEADER.pack(0, FrameType.DATA, flags, stream_id, size), *pieces))


class FrameReader:
    """Cuts the bytes of a session into headers and pieces of payload.

    Payloads are handed out as they arrive and never gathered: no length that a peer claims makes us keep anything, and
    at most eleven bytes wait between two calls.
    """

    __slots__ = ("_partial", "body_left")

    def __init__(self) -> None:
        self._partial = b""
        self.body_left = 0
        """How many bytes of the present Data frame's payload are still to come."""

    def feed(self, data: bytes) -> Iterator[Header | bytes]:
        """Yield what is complete. After a header of a Data frame, its payload follows in one or more pieces."""
        offset, size = 0, len(data)
        if self._partial and size:
            offset = HEADER_BYTES - len(self._partial)
            self._partial += data[:offset]
            if len(self._partial) < HEADER_BYTES:
                return
            complete, self._partial = self._partial, b""
            yield self._begin(complete, 0)
        while offset < size:
            if self.body_left:
                piece = data[offset : offset + self.body_left]
                offset += len(piece)
                self.body_left -= len(piece)
                yield piece
            elif size - offset < HEADER_BYTES:
                self._partial = data[offset:]
                return
            else:
                offset += HEADER_BYTES
                yield self._begin(data, offset - HEADER_BYTES)

    def _begin(self, data: bytes, offset: int) -> Header:
        header = Header._make(_HEADER.unpack_from(data, offset))
        if header.type == FrameType.DATA:
            self.body_left = header.length
        return header
