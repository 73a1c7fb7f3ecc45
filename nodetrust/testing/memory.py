"""Two channels joined in memory, for tests of everything that speaks over a channel.

Bytes move only when `Wire.pump` is called, so a test decides when and in which pieces they arrive.
"""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.python.failure import Failure

from nodetrust.libp2p.channel import Channel


class MemoryChannel(Channel):
    """One end of a `Wire`. What was written and not yet moved stands in `outgoing`."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.outgoing = bytearray()
        self.finished_writing = False
        self.aborted = False
        self.reading = True
        self.producer: object | None = None
        self.streaming = False
        self._port = port
        self.other: MemoryChannel

    def write(self, data: bytes) -> None:
        if not self.finished_writing:
            self.outgoing += data

    def loseConnection(self) -> None:
        self.disconnecting = True
        self.finished_writing = True

    def loseWriteConnection(self) -> None:
        self.finished_writing = True

    def abortConnection(self) -> None:
        self.disconnecting = True
        self.aborted = True
        self.finished_writing = True
        self.outgoing.clear()

    def pause_lower(self) -> None:
        self.reading = False

    def resume_lower(self) -> None:
        self.reading = True

    def registerProducer(self, producer: object, streaming: bool) -> None:
        self.producer, self.streaming = producer, streaming

    def unregisterProducer(self) -> None:
        self.producer = None

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self.other._port)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", self._port)


class Wire:
    """A connected pair: `dialer` and `listener`."""

    def __init__(self) -> None:
        self.dialer = MemoryChannel(40001)
        self.listener = MemoryChannel(40002)
        self.dialer.other, self.listener.other = self.listener, self.dialer
        self._told_end: set[MemoryChannel] = set()
        self._lost: set[MemoryChannel] = set()

    def pump(self, piece_bytes: int | None = None) -> None:
        """Move bytes and endings both ways until nothing is left to move.

        `piece_bytes` cuts what is delivered into pieces of that size (1: byte by byte).
        """
        while self._move(self.dialer, self.listener, piece_bytes) or self._move(
            self.listener, self.dialer, piece_bytes
        ):
            pass

    def _move(self, source: MemoryChannel, target: MemoryChannel, piece_bytes: int | None) -> bool:
        moved = False
        while source.outgoing and target.reading and target not in self._lost:
            size = piece_bytes or len(source.outgoing)
            piece = bytes(source.outgoing[:size])
            del source.outgoing[:size]
            target.deliver(piece)
            moved = True
        return self._move_endings(source, target) or moved

    def _move_endings(self, source: MemoryChannel, target: MemoryChannel) -> bool:
        if source.aborted and source not in self._lost:
            self._lose(source, ConnectionAborted())
            self._lose(target, ConnectionAborted())
            return True
        if (
            source.finished_writing
            and not source.outgoing
            and source not in self._told_end
            and target not in self._lost
        ):
            self._told_end.add(source)
            target.deliver_end()
            return True
        if source.disconnecting and not source.outgoing and source not in self._lost and target.finished_writing:
            self._lose(source, ConnectionDone())
            self._lose(target, ConnectionDone())
            return True
        return False

    def _lose(self, channel: MemoryChannel, reason: Exception) -> None:
        if channel not in self._lost:
            self._lost.add(channel)
            channel.deliver_lost(Failure(reason))
