"""The two streams between us and a peer: ours, which only we write on, and its, which we only read from.

go-libp2p-pubsub keeps a read pending on the stream that it writes on, and takes anything that comes there (bytes, an
end, a reset) for the death of the peer's pubsub. So on the peer's stream nothing is written and no end is sent, unless
we mean that: when the peer breaks the protocol, or when it has ended the stream itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import cast

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.errors import InvalidData
from nodetrust.libp2p.framing import FrameDecoder
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub.outbox import Outbox
from nodetrust.libp2p.pubsub.wire import MAX_RPC_BYTES

FIELDS_PER_HEARTBEAT = 10_000
"""Protobuf fields that we read of one peer between two heartbeats: about 10 ms of work. Our own choice."""

MAX_SAVED_FIELDS = 20_000
"""What a peer that has been quiet may send at once before it has to wait. Our own choice."""

FIELDS_OF_ALL_PER_HEARTBEAT = 200_000
"""Protobuf fields that we read of all peers together between two heartbeats: about 200 ms of work. Our own choice."""


class ReadBudget:
    """What all peers together may still make us read until the next heartbeat, in protobuf fields."""

    def __init__(self) -> None:
        self.left = FIELDS_OF_ALL_PER_HEARTBEAT

    def renew(self) -> None:
        """A heartbeat has passed."""
        self.left = FIELDS_OF_ALL_PER_HEARTBEAT


@implementer(IHalfCloseableProtocol)
class RpcReader(Protocol):
    """The peer's stream: every frame that is not empty goes to `on_frame`, until `abort`.

    `on_frame` returns what the frame has cost, in protobuf fields. A peer that has used up its share, or finds that of
    all used up, is not read from until `renew`: it finds its window closed, and what it sends keeps no one else
    waiting.
    """

    def __init__(
        self,
        peer: PeerId,
        protocol_id: str,
        budget: ReadBudget,
        *,
        on_open: Callable[[RpcReader], None],
        on_frame: Callable[[RpcReader, bytes], int],
        on_malformed: Callable[[RpcReader, InvalidData], None],
        on_lost: Callable[[RpcReader], None],
    ) -> None:
        self.peer = peer
        self.protocol_id = protocol_id
        self._on_open = on_open
        self._on_frame = on_frame
        self._on_malformed = on_malformed
        self._on_lost = on_lost
        self._decoder = FrameDecoder(MAX_RPC_BYTES)
        self._aborted = False
        self._waiting: deque[bytes] = deque()
        self._budget = budget
        self.share = MAX_SAVED_FIELDS
        """Fields that the peer may still send; below 0 it has to make up for what it has sent."""
        self._paused = False

    @property
    def _stream(self) -> Channel:
        return cast(Channel, self.transport)

    def renew(self) -> None:
        """A heartbeat has passed: read on, if the peer's share allows it."""
        self.share = min(self.share + FIELDS_PER_HEARTBEAT, MAX_SAVED_FIELDS)
        if self._paused and not self._aborted:
            self._read()
            if self.share > 0 and not self._waiting and not self._aborted:
                self._paused = False
                self._stream.resumeProducing()

    def abort(self) -> None:
        """Reset the stream, and look at nothing more that comes on it."""
        if not self._aborted:
            self._aborted = True
            self._waiting.clear()
            self._stream.abortConnection()

    def connectionMade(self) -> None:
        self._on_open(self)

    def dataReceived(self, data: bytes) -> None:
        if self._aborted:
            return
        try:
            frames = self._decoder.receive_data(data)
        except InvalidData as reason:
            self._on_malformed(self, reason)
            return
        self.share -= len(frames)
        self._waiting.extend(filter(None, frames))
        self._read()

    def _read(self) -> None:
        while self._waiting and self.share > 0 and self._budget.left > 0:
            cost = self._on_frame(self, self._waiting.popleft())
            self.share -= cost
            self._budget.left -= cost
        if (self.share <= 0 or self._waiting) and not self._paused and not self._aborted:
            self._paused = True
            self._stream.pauseProducing()

    def readConnectionLost(self) -> None:
        """The peer has ended its stream: now we may end it, too."""
        self._stream.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our end went out."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._aborted = True
        self._waiting.clear()
        self._on_lost(self)


@implementer(IHalfCloseableProtocol, IPushProducer)
class RpcWriter(Protocol):
    """Our stream: writes what is in the outbox as fast as the peer takes it, and ignores whatever it writes to us."""

    def __init__(self, outbox: Outbox, on_lost: Callable[[RpcWriter], None]) -> None:
        self._outbox = outbox
        self._on_lost = on_lost
        self._paused = False
        self._finished = False

    @property
    def _stream(self) -> Channel:
        return cast(Channel, self.transport)

    def connectionMade(self) -> None:
        self._stream.registerProducer(self, True)
        self.flush()

    def flush(self) -> None:
        """Write what waits, as far as the stream takes it now."""
        while self._outbox and not self._paused and not self._finished:
            self._stream.write(self._outbox.take())

    def finish(self) -> None:
        """End the stream after what the peer still takes; what waits for a slow one is dropped."""
        if not self._finished:
            self._finished = True
            self._stream.unregisterProducer()
            self._stream.loseConnection()

    def abort(self) -> None:
        """Reset the stream."""
        if not self._finished:
            self._finished = True
            self._stream.abortConnection()

    # From the stream.

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self.flush()

    def stopProducing(self) -> None:
        self._finished = True

    def dataReceived(self, data: bytes) -> None:
        """Nobody has anything to say here; js-libp2p's negotiation may, and is not to be punished for it."""

    def readConnectionLost(self) -> None:
        """The peer will write nothing on our stream, as it should be."""

    def writeConnectionLost(self) -> None:
        """Our end went out."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._finished = True
        self._on_lost(self)
