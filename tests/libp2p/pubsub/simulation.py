"""A network of routers on a clock of its own: what one sends, the other receives a tenth of a second later."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from random import Random

from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub.effects import Deliver, Effect
from nodetrust.libp2p.pubsub.machine import Router, Verdict
from nodetrust.libp2p.pubsub.parameters import FLOODSUB, GOSSIPSUB_1_2, Parameters
from nodetrust.libp2p.pubsub.wire import Message, decode_rpc, encode_rpc
from tests.libp2p.pubsub.graph import Link

TICKS_PER_HEARTBEAT = 10
DEFAULTS = Parameters()
PEERS = [PrivateKey.from_seed(bytes([n]) * 32).peer_id for n in range(64)]


def unsigned(author: PeerId, seqno: int, topic: str = "t", data: bytes = b"") -> Message:
    """A message that passes where signatures are not looked into."""
    return Message(author.multihash, data, seqno.to_bytes(8, "big"), topic, b"not looked into")


def trusting_router(peer: PeerId, seed: int = 0, parameters: Parameters = DEFAULTS) -> Router:
    """A router that takes every signature for right and accepts every message."""
    return Router(peer, parameters, Random(seed), lambda message: None, lambda *_: Verdict.ACCEPT)


class Network:
    """Nodes, the links between them, and what each was given. `lose(sender, receiver)` may drop messages."""

    def __init__(self, count: int, parameters: Parameters = DEFAULTS, seed: int = 0) -> None:
        self.peers = PEERS[:count]
        seeds = range(seed * len(PEERS), (seed + 1) * len(PEERS))
        self.routers = {peer: trusting_router(peer, seeds[n], parameters) for n, peer in enumerate(self.peers)}
        self.heard: dict[PeerId, Counter[bytes]] = {peer: Counter() for peer in self.peers}
        self.lose = lambda sender, receiver: False
        self.random = Random(seeds[count % len(PEERS)])
        self.messages_sent = 0
        self._links: set[frozenset[PeerId]] = set()
        self._wires: deque[tuple[PeerId, PeerId, bytes]] = deque()
        self._ticks = 0

    @property
    def now(self) -> float:
        return self._ticks / TICKS_PER_HEARTBEAT

    def link(self, dialer: PeerId, listener: PeerId, protocol: str = GOSSIPSUB_1_2) -> None:
        """Connect two nodes, unless they are."""
        if dialer != listener and frozenset((dialer, listener)) not in self._links:
            self._links.add(frozenset((dialer, listener)))
            self.act(dialer, self.routers[dialer].peer_connected(listener, protocol, outbound=True))
            self.act(listener, self.routers[listener].peer_connected(dialer, protocol, outbound=False))

    def link_all(self, flooders: int = 0) -> None:
        """Connect each node with every other; the first `flooders` speak floodsub only."""
        for n, dialer in enumerate(self.peers):
            for listener in self.peers[n + 1 :]:
                self.link(*self.random.sample((dialer, listener), 2), FLOODSUB if n < flooders else GOSSIPSUB_1_2)

    def link_some(self, each: int) -> None:
        """Let each node dial a few others, among them its neighbour, so that the network is one."""
        for n, dialer in enumerate(self.peers):
            for listener in (self.peers[n - 1], *self.random.sample(self.peers, each)):
                self.link(dialer, listener)

    def link_as(self, links: Iterable[Link]) -> None:
        """Connect the nodes with these numbers."""
        for dialer, listener in links:
            self.link(self.peers[dialer], self.peers[listener])

    def subscribe_all(self, topic: str = "t") -> None:
        for peer in self.peers:
            self.act(peer, self.routers[peer].subscribe(topic, self.now))

    def publish(self, author: PeerId, seqno: int, data: bytes) -> None:
        self.act(author, self.routers[author].publish(unsigned(author, seqno, data=data), self.now))

    def remove(self, gone: PeerId) -> None:
        """End a node and its links."""
        self.peers.remove(gone)
        del self.routers[gone]
        for peer in self.peers:
            self.routers[peer].peer_disconnected(gone)

    def run(self, seconds: float) -> None:
        """Let time pass; the heartbeats of the nodes are spread over it."""
        for _ in range(round(seconds * TICKS_PER_HEARTBEAT)):
            self._ticks += 1
            for _ in range(len(self._wires)):
                sender, receiver, data = self._wires.popleft()
                if receiver in self.routers:
                    self.act(receiver, self.routers[receiver].received(sender, decode_rpc(data), self.now))
            for n, peer in enumerate(self.peers):
                if n % TICKS_PER_HEARTBEAT == self._ticks % TICKS_PER_HEARTBEAT:
                    self.act(peer, self.routers[peer].heartbeat(self.now))

    def act(self, peer: PeerId, effects: list[Effect]) -> None:
        """Do what a node wants done."""
        for effect in effects:
            if isinstance(effect, Deliver):
                self.heard[peer][effect.message.data] += 1
            elif not (effect.rpc.messages and self.lose(peer, effect.peer)):
                self.messages_sent += len(effect.rpc.messages)
                self._wires.append((peer, effect.peer, encode_rpc(effect.rpc)))
