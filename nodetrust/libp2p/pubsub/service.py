"""PubSub: the router on a host, with a stream to and from every peer that speaks pubsub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import InvalidData, Libp2pError
from nodetrust.libp2p.framing import encode_frame
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import signing
from nodetrust.libp2p.pubsub.effects import Deliver, Effect
from nodetrust.libp2p.pubsub.errors import MessageTooLarge, RpcInvalid
from nodetrust.libp2p.pubsub.machine import Router, Verdict
from nodetrust.libp2p.pubsub.messages import PubSubMessage, Subscriber, Validator
from nodetrust.libp2p.pubsub.numbers import Numbers, WallClockNumbers
from nodetrust.libp2p.pubsub.outbox import Outbox
from nodetrust.libp2p.pubsub.parameters import PROTOCOLS, Parameters
from nodetrust.libp2p.pubsub.streams import ReadBudget, RpcReader, RpcWriter
from nodetrust.libp2p.pubsub.wire import (
    MAX_RPC_BYTES,
    MAX_TOPIC_BYTES,
    FieldCount,
    Message,
    Rpc,
    decode_rpc,
    encode_rpc,
)
from nodetrust.libp2p.streams import StreamAddress

INITIAL_DELAY_SECONDS = 0.1
"""Until the first heartbeat: go-libp2p-pubsub's GossipSubHeartbeatInitialDelay."""

MAX_REOPENINGS = 4
"""How often our stream to a peer is opened anew before we give the peer up: go-libp2p-pubsub's MaxBackoffAttempts."""

REOPEN_SECONDS = 1.0
"""Before the first time; twice as long before each further one."""

STABLE_SECONDS = 60.0
"""A stream that lasted so long makes up for earlier ones that did not; our own choice."""


@dataclass(slots=True, eq=False)
class _Remote:
    """A peer that speaks pubsub. What we tell it waits in the outbox until our stream is open."""

    peer: PeerId
    protocols: tuple[str, ...]
    outbox: Outbox = field(default_factory=Outbox)
    reader: RpcReader | None = None
    writer: RpcWriter | None = None
    opening: Deferred[None] | None = None
    opened_at: float | None = None
    reopen_at: float = 0.0
    reopenings: int = 0


@dataclass(slots=True)
class _Topic:
    subscribers: list[Subscriber] = field(default_factory=list)
    validators: list[Validator] = field(default_factory=list)


class PubSub:
    """Publishes and subscribes on a host. Between `start` and `stop` it is at work; subscriptions may come earlier.

    `clock` drives the heartbeat, `random` chooses peers (a `SystemRandom`, so that nobody can foresee it), `numbers`
    numbers our messages, by default after the wall clock: others ignore what does not rise over restarts, too. Where
    the clock has a `monotonic`, which is never set, backoffs, rates and promises go by that.
    """

    log = Logger()

    def __init__(
        self,
        host: Host,
        clock: IReactorTime,
        random: Random,
        *,
        parameters: Parameters = Parameters(),  # noqa: B008  # immutable
        numbers: Numbers | None = None,
    ) -> None:
        self._host = host
        self._clock = clock
        self._seconds: Callable[[], float] = getattr(clock, "monotonic", clock.seconds)
        self._numbers = WallClockNumbers() if numbers is None else numbers
        self._parameters = parameters
        self._router = Router(host.peer_id, parameters, random, signing.check, self._validate)
        self._topics: dict[str, _Topic] = {}
        self._remotes: dict[PeerId, _Remote] = {}
        self._running = False
        self._watching = False
        self._heart = LoopingCall(self._heartbeat)
        self._heart.clock = clock
        self._first_beat: IDelayedCall | None = None
        self._read_budget = ReadBudget()

    # For applications.

    def start(self) -> None:
        """Speak pubsub: accept streams, and open one to every peer that is or will be identified as speaking it."""
        if self._running:
            return
        self._running = True
        if not self._watching:
            self._watching = True
            self._host.on_identified(self._identified)
            self._host.on_disconnected(self._disconnected)
        factory = _ReaderFactory(self)
        for protocol_id in PROTOCOLS:
            self._host.handle(protocol_id, factory)
        self._first_beat = self._clock.callLater(INITIAL_DELAY_SECONDS, self._start_heart)
        for topic in self._topics:
            self._run(self._router.subscribe(topic, self._seconds()))
        for connection in self._host.connections():
            self._identified(connection)

    def stop(self) -> None:
        """Leave all topics, end our streams, and take no more. May be started again."""
        if not self._running:
            return
        for topic in self._topics:
            self._run(self._router.unsubscribe(topic, self._seconds()))
        self._running = False
        for protocol_id in PROTOCOLS:
            self._host.stop_handling(protocol_id)
        if self._first_beat is not None and self._first_beat.active():
            self._first_beat.cancel()
        if self._heart.running:
            self._heart.stop()
        for remote in list(self._remotes.values()):
            if remote.writer is not None:
                remote.writer.finish()
            self._forget(remote)

    def subscribe(self, topic: str, subscriber: Subscriber, validator: Validator | None = None) -> Callable[[], None]:
        """Have `subscriber` called with every `PubSubMessage` of others in the topic; the result undoes that.

        `validator` decides, for all subscribers of the topic, what is delivered and forwarded; of several, the first
        that does not accept. Raises `ValueError` for a topic that is too long, `LimitExceeded` for one too many.
        """
        _check_topic(topic)
        entry = self._topics.get(topic)
        if entry is None:
            if self._running:
                self._run(self._router.subscribe(topic, self._seconds()))
            entry = self._topics[topic] = _Topic()
        entry.subscribers.append(subscriber)
        if validator is not None:
            entry.validators.append(validator)
        done = False

        def unsubscribe() -> None:
            nonlocal done
            if not done:
                done = True
                self._unsubscribe(topic, entry, subscriber, validator)

        return unsubscribe

    def publish(self, topic: str, data: bytes) -> None:
        """Sign and send a message to the peers of the topic, whether we subscribe to it or not.

        It is not delivered to ourselves. Nobody says whether it arrives. Raises `ValueError` for a topic, and
        `MessageTooLarge` for data, that no RPC can carry.
        """
        _check_topic(topic)
        message = signing.sign(self._host.key, topic, data, self._numbers())
        if len(encode_rpc(Rpc(messages=(message,)))) > MAX_RPC_BYTES:
            raise MessageTooLarge(f"{len(data)} bytes of data do not fit into an RPC of {MAX_RPC_BYTES}")
        self._run(self._router.publish(message, self._seconds()))

    def peers(self, topic: str) -> frozenset[PeerId]:
        """The connected peers that subscribe to the topic."""
        return self._router.topic_peers(topic)

    def mesh(self, topic: str) -> frozenset[PeerId]:
        """Those of them that we have a mesh link with."""
        return self._router.mesh(topic)

    def _unsubscribe(self, topic: str, entry: _Topic, subscriber: Subscriber, validator: Validator | None) -> None:
        entry.subscribers.remove(subscriber)
        if validator is not None:
            entry.validators.remove(validator)
        if not entry.subscribers:
            del self._topics[topic]
            if self._running:
                self._run(self._router.unsubscribe(topic, self._seconds()))

    # The host's news.

    def _identified(self, connection: Connection) -> None:
        identify = connection.remote_identify
        if not self._running or identify is None:
            return
        common = tuple(protocol for protocol in PROTOCOLS if protocol in identify.protocols)
        if common:
            self._meet(connection.remote_peer, common)

    def _disconnected(self, connection: Connection) -> None:
        remote = self._remotes.get(connection.remote_peer)
        if remote is not None and not self._host.connections(remote.peer):
            self._forget(remote)

    def _meet(self, peer: PeerId, protocols: tuple[str, ...]) -> _Remote:
        """Begin to know a peer; greet it as soon as our stream is open."""
        remote = self._remotes.get(peer)
        if remote is None:
            remote = self._remotes[peer] = _Remote(peer, protocols)
            dialed = any(connection.outbound for connection in self._host.connections(peer))
            self._run(self._router.peer_connected(peer, protocols[0], dialed))
            self._open(remote)
        return remote

    def _forget(self, remote: _Remote) -> None:
        """The peer is gone, or given up."""
        if self._remotes.get(remote.peer) is not remote:
            return
        del self._remotes[remote.peer]
        self._router.peer_disconnected(remote.peer)
        if remote.opening is not None:
            remote.opening.cancel()
        if remote.writer is not None:
            remote.writer.abort()
        if remote.reader is not None:
            remote.reader.abort()

    # Our streams.

    def _open(self, remote: _Remote) -> None:
        opening = remote.opening = Deferred.fromCoroutine(self._open_stream(remote))
        opening.addBoth(self._opened, remote)

    async def _open_stream(self, remote: _Remote) -> None:
        stream = await self._host.open_stream(remote.peer, remote.protocols)
        if remote.opened_at is not None:
            remote.outbox.clear()
            self._run(self._router.peer_restarted(remote.peer))
        remote.opened_at = self._seconds()
        remote.writer = RpcWriter(remote.outbox, lambda writer: self._writer_lost(remote, writer))
        stream.attach(remote.writer)

    def _opened(self, result: Failure | None, remote: _Remote) -> None:
        remote.opening = None
        if result is None or isinstance(result.value, CancelledError):
            return
        if isinstance(result.value, Libp2pError):
            self.log.debug("No pubsub stream to {peer}: {reason}", peer=remote.peer, reason=result.value)
        else:
            self.log.failure("Opening a pubsub stream failed", result)
        self._reopen_later(remote)

    def _writer_lost(self, remote: _Remote, writer: RpcWriter) -> None:
        if remote.writer is writer:
            remote.writer = None
            self._reopen_later(remote)

    def _reopen_later(self, remote: _Remote) -> None:
        now = self._seconds()
        if remote.opened_at is not None and now - remote.opened_at >= STABLE_SECONDS:
            remote.reopenings = 0
        if remote.reopenings >= MAX_REOPENINGS or not self._host.connections(remote.peer):
            self._forget(remote)
            return
        remote.reopen_at = now + REOPEN_SECONDS * 2**remote.reopenings
        remote.reopenings += 1

    # The peers' streams.

    def reader_for(self, address: StreamAddress) -> RpcReader | None:
        """Who reads from a stream that a peer has opened; `None` if it is to be refused."""
        if not self._running:
            return None
        return RpcReader(
            address.peer,
            address.protocol_id,
            self._read_budget,
            on_open=self._reader_opened,
            on_frame=self._frame_received,
            on_malformed=self._malformed,
            on_lost=self._reader_lost,
        )

    def _reader_opened(self, reader: RpcReader) -> None:
        """A second stream of the same peer replaces the first, as in go-libp2p-pubsub."""
        remote = self._meet(reader.peer, (reader.protocol_id,))
        former, remote.reader = remote.reader, reader
        if former is not None:
            former.abort()

    def _reader_lost(self, reader: RpcReader) -> None:
        remote = self._remotes.get(reader.peer)
        if remote is not None and remote.reader is reader:
            remote.reader = None

    def _frame_received(self, reader: RpcReader, frame: bytes) -> int:
        """Do what the RPC says; return how many fields it has."""
        read = FieldCount()
        if self._router.listens_to(reader.peer):
            try:
                rpc = decode_rpc(frame, read)
            except RpcInvalid as reason:
                self._malformed(reader, reason)
            else:
                self._run(self._router.received(reader.peer, rpc, self._seconds()))
        return read.count

    def _malformed(self, reader: RpcReader, reason: InvalidData | RpcInvalid) -> None:
        self.log.debug("{peer} sent no RPC: {reason}", peer=reader.peer, reason=reason)
        self._router.malformed(reader.peer)
        reader.abort()

    # The router's wishes.

    def _run(self, effects: Sequence[Effect]) -> None:
        touched: dict[PeerId, _Remote] = {}
        frames: dict[int, bytes] = {}  # a message for many peers is one object: encoded once, and kept once
        for effect in effects:
            if isinstance(effect, Deliver):
                self._deliver(effect)
                continue
            remote = self._remotes.get(effect.peer)
            if remote is not None:
                touched[effect.peer] = remote
                frame = frames.get(id(effect.rpc))
                if frame is None:
                    frame = frames[id(effect.rpc)] = encode_frame(encode_rpc(effect.rpc))
                self._put(remote, effect.rpc, frame)
        for remote in touched.values():
            if remote.writer is not None:
                remote.writer.flush()

    def _put(self, remote: _Remote, rpc: Rpc, frame: bytes) -> None:
        essential = bool(rpc.subscriptions or rpc.graft or rpc.prune)
        if remote.outbox.put(frame, essential) or not essential:
            return
        self.log.debug("{peer} does not read its pubsub stream", peer=remote.peer)
        if remote.writer is not None:
            remote.writer.abort()
        else:
            self._forget(remote)

    def _deliver(self, delivered: Deliver) -> None:
        message = PubSubMessage.from_wire(delivered.message, delivered.author, delivered.received_from)
        entry = self._topics.get(message.topic)
        for subscriber in list(entry.subscribers) if entry is not None else ():
            try:
                subscriber(message)
            except Exception:
                self.log.failure("A subscriber of {topic} failed", topic=message.topic)

    def _validate(self, message: Message, author: PeerId, received_from: PeerId) -> Verdict:
        seen = PubSubMessage.from_wire(message, author, received_from)
        entry = self._topics.get(seen.topic)
        for validator in entry.validators if entry is not None else ():
            try:
                verdict = validator(seen)
            except Exception:
                self.log.failure("A validator of {topic} failed", topic=seen.topic)
                return Verdict.IGNORE
            if verdict is not Verdict.ACCEPT:
                return verdict
        return Verdict.ACCEPT

    # Time.

    def _start_heart(self) -> None:
        beating = self._heart.start(self._parameters.heartbeat_seconds)
        beating.addErrback(lambda failure: self.log.failure("The pubsub heartbeat has stopped", failure))

    def _heartbeat(self) -> None:
        now = self._seconds()
        for remote in list(self._remotes.values()):
            if remote.writer is None and remote.opening is None and now >= remote.reopen_at:
                self._open(remote)
        self._run(self._router.heartbeat(now))
        self._read_budget.renew()
        readers = [remote.reader for remote in self._remotes.values() if remote.reader is not None]
        # Who has sent little comes first: a crowd that uses up what there is for all can't keep quiet peers waiting.
        for reader in sorted(readers, key=lambda reader: -reader.share):
            reader.renew()


class _ReaderFactory(Factory):
    """Builds the readers of inbound streams."""

    noisy = False

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    def buildProtocol(self, addr: IAddress | None) -> RpcReader | None:
        return self._pubsub.reader_for(addr) if isinstance(addr, StreamAddress) else None


def _check_topic(topic: str) -> None:
    if len(topic.encode()) > MAX_TOPIC_BYTES:
        raise ValueError(f"a topic of more than {MAX_TOPIC_BYTES} bytes")
