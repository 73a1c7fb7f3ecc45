"""The router of gossipsub v1.2, which also serves floodsub peers: inputs in, effects out, no I/O, no clock.

Source: libp2p/specs pubsub/gossipsub/gossipsub-v1.0.md, -v1.1.md and -v1.2.md, and, where they leave a choice,
go-libp2p-pubsub. Which parts of v1.1's scoring exist is said in `score`.

Every input is a method that returns the effects it has, in order. `now` is in seconds, on any clock that does not go
backwards. Peers appear with `peer_connected`; RPCs of others are ignored.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from nodetrust.libp2p.errors import LimitExceeded
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub.backoff import Backoffs
from nodetrust.libp2p.pubsub.checks import CheckBudget
from nodetrust.libp2p.pubsub.effects import Effect, Effects
from nodetrust.libp2p.pubsub.errors import MessageInvalid
from nodetrust.libp2p.pubsub.gossip import Appetite, Promises
from nodetrust.libp2p.pubsub.ids import IdStyle, MessageIds, message_ids, style_of
from nodetrust.libp2p.pubsub.mcache import MessageCache
from nodetrust.libp2p.pubsub.parameters import (
    FLOODSUB,
    GOSSIPSUB_1_0,
    GOSSIPSUB_1_2,
    MAX_CACHED_BYTES,
    MAX_OWN_TOPICS,
    MAX_SEEN_MESSAGES,
    MAX_TOPICS_PER_PEER,
    Parameters,
)
from nodetrust.libp2p.pubsub.rates import AuthorRates
from nodetrust.libp2p.pubsub.score import GOSSIP_THRESHOLD, GRAYLIST_THRESHOLD, PUBLISH_THRESHOLD, Scores
from nodetrust.libp2p.pubsub.seen import SeenMessages
from nodetrust.libp2p.pubsub.signing import author_of
from nodetrust.libp2p.pubsub.unwanted import Unwanted
from nodetrust.libp2p.pubsub.wire import IHave, Message, Prune, Rpc, Subscription


class Verdict(enum.Enum):
    """What a validator says of a correctly signed message."""

    ACCEPT = "accept"
    """Deliver it and send it on."""
    IGNORE = "ignore"
    """Neither, and nobody is at fault (too old, not for us)."""
    REJECT = "reject"
    """Neither, and whoever sent it should have known."""


Check: TypeAlias = Callable[[Message], None]
"""Raises `MessageInvalid` unless the message is what its author signed; called once for each new message."""
Validate: TypeAlias = Callable[[Message, PeerId, PeerId], Verdict]
"""The application's opinion of a message, its author, and the peer that it came from."""


@dataclass(slots=True)
class _Peer:
    """What we know of a connected peer."""

    protocol: str
    outbound: bool
    appetite: Appetite
    unwanted: Unwanted
    topics: set[str] = field(default_factory=set)
    style: IdStyle = IdStyle.GO

    @property
    def meshes(self) -> bool:
        return self.protocol != FLOODSUB


@dataclass(slots=True)
class _Fanout:
    peers: set[PeerId]
    last_published: float


class Router:
    """Who is in which topic, whom to send what, and whom to believe."""

    def __init__(
        self, peer_id: PeerId, parameters: Parameters, random: Random, check: Check, validate: Validate
    ) -> None:
        self._own = peer_id
        self._parameters = parameters
        self._random = random
        self._check = check
        self._validate = validate
        self._peers: dict[PeerId, _Peer] = {}
        self._topic_peers: dict[str, dict[PeerId, None]] = {}
        self._mesh: dict[str, set[PeerId]] = {}
        self._fanout: dict[str, _Fanout] = {}
        self._scores = Scores()
        self._backoffs = Backoffs()
        self._seen = SeenMessages(parameters.seen_seconds, MAX_SEEN_MESSAGES)
        self._cache = MessageCache(
            parameters.history_windows, parameters.gossip_windows, parameters.gossip_retransmissions, MAX_CACHED_BYTES
        )
        self._promises = Promises(parameters.iwant_follow_up_seconds)
        self._rates = AuthorRates(parameters.author_burst, parameters.author_messages_per_second)
        self._checks = CheckBudget(parameters)
        self._effects = Effects()

    # What others may look at.

    def mesh(self, topic: str) -> frozenset[PeerId]:
        """The peers in our mesh of the topic."""
        return frozenset(self._mesh.get(topic, ()))

    def topic_peers(self, topic: str) -> frozenset[PeerId]:
        """The connected peers that subscribe to the topic."""
        return frozenset(self._topic_peers.get(topic, ()))

    def score(self, peer: PeerId) -> float:
        """The peer's score, at most 0 (see `score`)."""
        return self._scores.of(peer)

    def listens_to(self, peer: PeerId) -> bool:
        """Whether anything that the peer sends would be looked at; if not, its RPCs need not even be decoded."""
        return peer in self._peers and self._scores.of(peer) >= GRAYLIST_THRESHOLD

    # Inputs: peers come and go.

    def peer_connected(self, peer: PeerId, protocol: str, outbound: bool) -> list[Effect]:
        """A peer speaks `protocol`; `outbound` says whether we dialed it. It is greeted with our subscriptions."""
        if peer in self._peers or peer == self._own:
            return []
        unwanted = Unwanted(self._parameters.max_idontwant_ids, self._parameters.idontwant_heartbeats)
        self._peers[peer] = _Peer(protocol, outbound, Appetite(self._parameters), unwanted)
        self._greet(peer)
        return self._effects.take()

    def peer_restarted(self, peer: PeerId) -> list[Effect]:
        """Our stream to the peer has been replaced: say again what it must know."""
        if peer not in self._peers:
            return []
        self._greet(peer)
        self._effects.to(peer).graft += sorted(topic for topic, mesh in self._mesh.items() if peer in mesh)
        return self._effects.take()

    def peer_disconnected(self, peer: PeerId) -> None:
        """The peer has gone. Its penalties and backoffs stay, so that coming back does not clear them."""
        known = self._peers.pop(peer, None)
        if known is not None:
            for topic in known.topics:
                self._forget_topic_peer(topic, peer)
            for mesh in self._mesh.values():
                mesh.discard(peer)
            self._promises.forgive(peer)

    def _greet(self, peer: PeerId) -> None:
        self._effects.to(peer).subscriptions += (Subscription(topic, True) for topic in self._mesh)

    def _forget_topic_peer(self, topic: str, peer: PeerId) -> None:
        peers = self._topic_peers[topic]
        del peers[peer]
        if not peers:
            del self._topic_peers[topic]
        if topic in self._mesh:
            self._mesh[topic].discard(peer)
        if topic in self._fanout:
            self._fanout[topic].peers.discard(peer)

    # Inputs: we.

    def subscribe(self, topic: str, now: float) -> list[Effect]:
        """Join a topic: tell everyone, and graft a first mesh. Raises `LimitExceeded` beyond `MAX_OWN_TOPICS`."""
        if topic in self._mesh:
            return []
        if len(self._mesh) >= MAX_OWN_TOPICS:
            raise LimitExceeded(f"more than {MAX_OWN_TOPICS} topics")
        self._announce(topic, True)
        mesh = self._mesh[topic] = set()
        fanout = self._fanout.pop(topic, None)
        candidates = self._graftable(topic, now)
        if fanout is not None:
            candidates.sort(key=lambda peer: peer not in fanout.peers)
        for peer in candidates[: self._parameters.mesh_size]:
            mesh.add(peer)
            self._effects.to(peer).graft.append(topic)
        return self._effects.take()

    def unsubscribe(self, topic: str, now: float) -> list[Effect]:
        """Leave a topic: prune its mesh with a short backoff, and tell everyone."""
        if topic not in self._mesh:
            return []
        for peer in sorted(self._mesh[topic]):
            self._prune(topic, peer, self._parameters.unsubscribe_backoff_seconds, now)
        del self._mesh[topic]
        self._announce(topic, False)
        self._promises.forgive_all()
        return self._effects.take()

    def publish(self, message: Message, now: float) -> list[Effect]:
        """Send our own message, made by `signing.sign`, to the peers of its topic."""
        topic = message.topic
        if topic is None or message.seqno is None:
            raise ValueError("a message without a topic or a sequence number")
        ids = message_ids(self._own, message.seqno, message.key)
        self._seen.add(ids, now)
        self._cache.put(message, ids)
        self._send(message, ids, self._publish_targets(topic, now))
        return self._effects.take()

    def _send(self, message: Message, ids: MessageIds, peers: Iterable[PeerId]) -> None:
        """Send a message to those of the peers that have not refused it."""
        self._effects.send_message(message, (peer for peer in peers if ids not in self._peers[peer].unwanted))

    def _publish_targets(self, topic: str, now: float) -> list[PeerId]:
        chosen = self._mesh[topic] if topic in self._mesh else self._fanout_peers(topic, now)
        return [
            peer
            for peer in self._topic_peers.get(topic, ())
            if (self._parameters.flood_publish or peer in chosen or not self._peers[peer].meshes)
            and self._scores.of(peer) >= PUBLISH_THRESHOLD
        ]

    def _fanout_peers(self, topic: str, now: float) -> set[PeerId]:
        """The peers that stand in for a mesh in a topic that we publish to and do not subscribe to."""
        fanout = self._fanout.setdefault(topic, _Fanout(set(), now))
        fanout.last_published = now
        self._fill_fanout(topic, fanout)
        return fanout.peers

    def _announce(self, topic: str, subscribe: bool) -> None:
        for peer in self._peers:
            self._effects.to(peer).subscriptions.append(Subscription(topic, subscribe))

    # Input: a peer's RPC.

    def received(self, peer: PeerId, rpc: Rpc, now: float) -> list[Effect]:
        """Do what a peer says, as far as it may say so."""
        known = self._peers.get(peer)
        if known is None or self._scores.of(peer) < GRAYLIST_THRESHOLD:
            return []
        for subscription in rpc.subscriptions:
            self._remote_subscription(peer, known, subscription)
        for message in rpc.messages:
            self._remote_message(peer, known, message, now)
        if known.meshes:
            self._remote_control(peer, known, rpc, now)
        return self._effects.take()

    def malformed(self, peer: PeerId) -> None:
        """A peer has sent bytes that are no RPC."""
        self._scores.add_invalid(peer)

    def _remote_subscription(self, peer: PeerId, known: _Peer, subscription: Subscription) -> None:
        topic = subscription.topic
        if not subscription.subscribe:
            if topic in known.topics:
                known.topics.remove(topic)
                self._forget_topic_peer(topic, peer)
        elif topic in self._mesh or len(known.topics) < MAX_TOPICS_PER_PEER:
            known.topics.add(topic)
            self._topic_peers.setdefault(topic, {})[peer] = None

    def _remote_message(self, peer: PeerId, known: _Peer, message: Message, now: float) -> None:
        """Take a message if it is of our topics, new, affordable, signed, and valid: asked in the order of cost."""
        if message.topic not in self._mesh or message.source == self._own.multihash:
            return
        try:
            author = author_of(message)
            seqno = message.seqno or b""
            if author.multihash + seqno in self._seen:
                return
            ids = message_ids(author, seqno, message.key)
            if not (self._rates.allows(author, now) and self._checks.take(peer, len(message.data or b""))):
                self._promises.fulfilled(ids)
                return
            self._check(message)
        except MessageInvalid:
            # Not remembered as seen: else anyone could keep the real message of that number away from us.
            self._scores.add_invalid(peer)
            return
        self._seen.add(ids, now)
        self._promises.fulfilled(ids)
        if len(message.data or b"") >= self._parameters.idontwant_bytes:
            self._refuse_further(message.topic, ids, peer)
        verdict = self._validate(message, author, peer)
        if verdict is Verdict.ACCEPT:
            self._rates.count(author, now)
            self._accept(message, ids, author, peer)
        elif verdict is Verdict.REJECT:
            self._scores.add_invalid(peer)

    def _refuse_further(self, topic: str, ids: MessageIds, sender: PeerId) -> None:
        """Tell the mesh that it need not send us a large message any more.

        Not before the signature has been checked, as v1.2 allows: else whoever puts the message's name on something
        else could keep the message itself away from us.
        """
        for peer in self._mesh[topic]:
            known = self._peers[peer]
            if peer != sender and known.protocol == GOSSIPSUB_1_2:
                self._effects.to(peer).idontwant.append(ids.in_style(known.style))

    def _accept(self, message: Message, ids: MessageIds, author: PeerId, sender: PeerId) -> None:
        topic = message.topic or ""
        self._cache.put(message, ids)
        self._effects.deliver(message, author, sender)
        mesh = self._mesh[topic]
        targets = [
            peer
            for peer in self._topic_peers.get(topic, ())
            if peer in mesh or (not self._peers[peer].meshes and self._scores.of(peer) >= PUBLISH_THRESHOLD)
        ]
        self._send(message, ids, (peer for peer in targets if peer not in (sender, author)))

    # Control messages.

    def _remote_control(self, peer: PeerId, known: _Peer, rpc: Rpc, now: float) -> None:
        if self._scores.of(peer) >= GOSSIP_THRESHOLD:
            if rpc.ihave:
                self._remote_ihave(peer, known, rpc.ihave, now)
            if rpc.iwant:
                self._remote_iwant(peer, known, rpc.iwant)
        if rpc.idontwant:
            self._remote_idontwant(peer, known, rpc.idontwant)
        for topic in rpc.graft:
            self._remote_graft(peer, known, topic, now)
        for prune in rpc.prune:
            self._remote_prune(peer, prune, now)

    def _remote_ihave(self, peer: PeerId, known: _Peer, ihaves: Iterable[IHave], now: float) -> None:
        offered = [message_id for ihave in ihaves if ihave.topic in self._mesh for message_id in ihave.ids]
        known.style = next(filter(None, map(style_of, offered[:1])), known.style)
        wanted = known.appetite.choose(offered, self._seen, self._random)
        if wanted:
            self._effects.to(peer).iwant += wanted
            self._promises.watch(wanted[0], peer, now)

    def _remote_iwant(self, peer: PeerId, known: _Peer, ids: Iterable[bytes]) -> None:
        for message_id in ids:
            cached = self._cache.take_for(peer, message_id)
            if cached is not None:
                known.style = style_of(message_id) or known.style
                self._send(*cached, (peer,))

    def _remote_idontwant(self, peer: PeerId, known: _Peer, ids: tuple[bytes, ...]) -> None:
        known.style = style_of(ids[0]) or known.style
        known.unwanted.add(ids)

    def _remote_graft(self, peer: PeerId, known: _Peer, topic: str, now: float) -> None:
        mesh = self._mesh.get(topic)
        if mesh is None or peer in mesh:
            return  # of a topic that is not ours nothing is said, so that nothing can be provoked
        remaining = self._backoffs.remaining(topic, peer, now) or 0.0
        if remaining > 0:
            soon = remaining > self._parameters.prune_backoff_seconds - self._parameters.graft_flood_seconds
            self._scores.add_behaviour(peer, 2.0 if soon else 1.0)
        crowded = len(mesh) >= self._parameters.mesh_high and not known.outbound
        if remaining > 0 or crowded or topic not in known.topics or self._scores.of(peer) < 0:
            self._prune(topic, peer, self._parameters.prune_backoff_seconds, now)
        else:
            mesh.add(peer)

    def _remote_prune(self, peer: PeerId, prune: Prune, now: float) -> None:
        mesh = self._mesh.get(prune.topic)
        if mesh is not None:
            mesh.discard(peer)
            self._backoffs.add(prune.topic, peer, prune.backoff_seconds or self._parameters.prune_backoff_seconds, now)

    def _prune(self, topic: str, peer: PeerId, seconds: int, now: float) -> None:
        """Take a peer out of a mesh, or refuse it, and keep both sides apart for a while."""
        self._mesh[topic].discard(peer)
        self._backoffs.add(topic, peer, seconds, now)
        named = None if self._peers[peer].protocol == GOSSIPSUB_1_0 else seconds
        self._effects.to(peer).prune.append(Prune(topic, named))

    # Input: time.

    def heartbeat(self, now: float) -> list[Effect]:
        """Keep every mesh in its bounds, gossip, forget what is old. To be called every `heartbeat_seconds`."""
        self._checks.renew({peer: known.outbound for peer, known in self._peers.items()})
        for peer, known in self._peers.items():
            known.appetite.renew()
            if known.unwanted.flooded:
                self._scores.add_behaviour(peer)
            known.unwanted.shift()
        for peer in self._promises.broken(now):
            self._scores.add_behaviour(peer)
        self._scores.decay()
        self._backoffs.expire(now, self._parameters.backoff_slack_seconds)
        self._seen.expire(now)
        self._rates.expire(now)
        for topic in self._mesh:
            self._maintain_mesh(topic, now)
            self._gossip(topic, self._mesh[topic])
        self._maintain_fanouts(now)
        self._cache.shift()
        return self._effects.take()

    def _maintain_mesh(self, topic: str, now: float) -> None:
        mesh = self._mesh[topic]
        for peer in sorted(mesh):
            if self._scores.of(peer) < 0:
                self._prune(topic, peer, self._parameters.prune_backoff_seconds, now)
        if len(mesh) < self._parameters.mesh_low:
            self._graft(topic, self._graftable(topic, now)[: self._parameters.mesh_size - len(mesh)])
        elif len(mesh) > self._parameters.mesh_high:
            self._cut_mesh(topic, now)
        missing = self._parameters.mesh_outbound - sum(self._peers[peer].outbound for peer in mesh)
        if len(mesh) >= self._parameters.mesh_low and missing > 0:
            dialed = [peer for peer in self._graftable(topic, now) if self._peers[peer].outbound]
            self._graft(topic, dialed[:missing])

    def _graft(self, topic: str, peers: Iterable[PeerId]) -> None:
        for peer in peers:
            self._mesh[topic].add(peer)
            self._effects.to(peer).graft.append(topic)

    def _cut_mesh(self, topic: str, now: float) -> None:
        """Cut the mesh down to its size at random, but keep enough peers that we have dialed."""
        peers = sorted(self._mesh[topic])
        self._random.shuffle(peers)
        dialed = [peer for peer in peers if self._peers[peer].outbound][: self._parameters.mesh_outbound]
        others = [peer for peer in peers if peer not in dialed]
        for peer in others[self._parameters.mesh_size - len(dialed) :]:
            self._prune(topic, peer, self._parameters.prune_backoff_seconds, now)

    def _graftable(self, topic: str, now: float) -> list[PeerId]:
        """The peers that may be taken into the mesh, in random order."""
        mesh = self._mesh[topic]
        slack = self._parameters.backoff_slack_seconds
        peers = []
        for peer in self._topic_peers.get(topic, ()):
            remaining = self._backoffs.remaining(topic, peer, now)
            free = remaining is None or remaining + slack <= 0
            if free and peer not in mesh and self._peers[peer].meshes and self._scores.of(peer) >= 0:
                peers.append(peer)
        self._random.shuffle(peers)
        return peers

    def _maintain_fanouts(self, now: float) -> None:
        for topic, fanout in list(self._fanout.items()):
            if now - fanout.last_published >= self._parameters.fanout_seconds:
                del self._fanout[topic]
                continue
            self._fill_fanout(topic, fanout)
            self._gossip(topic, fanout.peers)

    def _fill_fanout(self, topic: str, fanout: _Fanout) -> None:
        good = [
            peer
            for peer in self._topic_peers.get(topic, ())
            if self._peers[peer].meshes and self._scores.of(peer) >= PUBLISH_THRESHOLD
        ]
        fanout.peers.intersection_update(good)
        others = [peer for peer in good if peer not in fanout.peers]
        missing = max(0, self._parameters.mesh_size - len(fanout.peers))
        fanout.peers.update(self._random.sample(others, min(missing, len(others))))

    def _gossip(self, topic: str, told: set[PeerId]) -> None:
        """Offer the topic's recent messages to some peers that do not get them from us anyway."""
        announced = self._cache.to_announce(topic)
        if not announced:
            return
        peers = [
            peer
            for peer in self._topic_peers.get(topic, ())
            if peer not in told and self._peers[peer].meshes and self._scores.of(peer) >= GOSSIP_THRESHOLD
        ]
        count = max(self._parameters.gossip_size, math.ceil(self._parameters.gossip_share * len(peers)))
        for peer in self._random.sample(peers, min(count, len(peers))):
            self._offer(peer, topic, announced)

    def _offer(self, peer: PeerId, topic: str, announced: list[MessageIds]) -> None:
        draft = self._effects.to(peer)
        room = self._parameters.max_ihave_ids - sum(len(ihave.ids) for ihave in draft.ihave)
        if len(announced) > room:
            announced = self._random.sample(announced, room)
        if announced:
            style = self._peers[peer].style
            draft.ihave.append(IHave(topic, tuple(ids.in_style(style) for ids in announced)))
