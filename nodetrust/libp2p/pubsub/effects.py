"""What the router wants done, and the putting together of what one input wants to tell each peer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub.wire import IHave, Message, Prune, Rpc, Subscription

_IDS_PER_IWANT = 1000  # with wire.MAX_ID_BYTES, half of an RPC
_IDS_PER_IDONTWANT = 10  # as many as go-libp2p-pubsub heeds in one RPC


@dataclass(frozen=True, slots=True)
class SendRpc:
    """Send the RPC, which is never empty, to the peer, on the stream that we have opened to it."""

    peer: PeerId
    rpc: Rpc


@dataclass(frozen=True, slots=True)
class Deliver:
    """A new, valid message in a topic that we subscribe to. Our own are not delivered to us."""

    message: Message
    author: PeerId
    received_from: PeerId


Effect: TypeAlias = SendRpc | Deliver


@dataclass(slots=True)
class _Draft:
    subscriptions: list[Subscription] = field(default_factory=list)
    ihave: list[IHave] = field(default_factory=list)
    iwant: list[bytes] = field(default_factory=list)
    idontwant: list[bytes] = field(default_factory=list)
    graft: list[str] = field(default_factory=list)
    prune: list[Prune] = field(default_factory=list)
    messages: list[Rpc] = field(default_factory=list)

    def rpcs(self) -> Iterator[Rpc]:
        """As few as their size allows; what must not be lost stands apart from what may be."""
        essential = Rpc(subscriptions=tuple(self.subscriptions), graft=tuple(self.graft), prune=tuple(self.prune))
        if essential:
            yield essential
        for ids in _pieces(self.idontwant, _IDS_PER_IDONTWANT):
            yield Rpc(idontwant=ids)
        for ids in _pieces(self.iwant, _IDS_PER_IWANT):
            yield Rpc(iwant=ids)
        if self.ihave:
            yield Rpc(ihave=tuple(self.ihave))
        yield from self.messages


def _pieces(ids: list[bytes], size: int) -> Iterator[tuple[bytes, ...]]:
    return (tuple(ids[begin : begin + size]) for begin in range(0, len(ids), size))


class Effects:
    """The effects of one input, collected; `take` hands them over."""

    def __init__(self) -> None:
        self._drafts: dict[PeerId, _Draft] = {}
        self._delivered: list[Deliver] = []

    def to(self, peer: PeerId) -> _Draft:
        """What the peer will be told: add to its lists."""
        return self._drafts.setdefault(peer, _Draft())

    def send_message(self, message: Message, peers: Iterable[PeerId]) -> None:
        """Send a message, in an RPC of its own that is one object for all peers: the shell encodes it only once."""
        rpc = Rpc(messages=(message,))
        for peer in peers:
            self.to(peer).messages.append(rpc)

    def deliver(self, message: Message, author: PeerId, received_from: PeerId) -> None:
        """Give a message to the application."""
        self._delivered.append(Deliver(message, author, received_from))

    def take(self) -> list[Effect]:
        """All effects since the last call; deliveries first, which do not wait for the network."""
        effects: list[Effect] = [*self._delivered]
        effects += (SendRpc(peer, rpc) for peer, draft in self._drafts.items() for rpc in draft.rpcs())
        self._delivered.clear()
        self._drafts.clear()
        return effects
