"""PubSub on a host that is not there: streams, identification and time are the test's."""

import time
from random import Random
from types import SimpleNamespace

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import NegotiationError
from nodetrust.libp2p.framing import FrameDecoder, encode_frame
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.pubsub import outbox, signing, streams
from nodetrust.libp2p.pubsub.errors import MessageTooLarge
from nodetrust.libp2p.pubsub.machine import Verdict
from nodetrust.libp2p.pubsub.messages import PubSubMessage
from nodetrust.libp2p.pubsub.numbers import WallClockNumbers
from nodetrust.libp2p.pubsub.outbox import Outbox
from nodetrust.libp2p.pubsub.parameters import FLOODSUB, GOSSIPSUB_1_0, GOSSIPSUB_1_1, GOSSIPSUB_1_2, PROTOCOLS
from nodetrust.libp2p.pubsub.service import PubSub
from nodetrust.libp2p.pubsub.wire import MAX_RPC_BYTES, MAX_TOPIC_BYTES, Rpc, Subscription, decode_rpc, encode_rpc
from nodetrust.libp2p.streams import StreamAddress
from nodetrust.steady import SteadyTime

US, PEER, AUTHOR = (PrivateKey.from_seed(bytes([n]) * 32) for n in (1, 2, 3))
STARTED_NS = 1_700_000_000_000_000_000
HELLO = Rpc((Subscription("t", True),))


class FakeStream(StringTransport):
    """A stream that remembers how it ended, and what was written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def attach(self, protocol) -> None:
        self.protocol = protocol
        protocol.makeConnection(self)

    def abortConnection(self) -> None:
        self.aborted = True

    def lose(self, error: Exception) -> None:
        self.protocol.connectionLost(Failure(error))

    def rpcs(self) -> list[Rpc]:
        """What was written since the last time."""
        frames = FrameDecoder(MAX_RPC_BYTES).receive_data(self.value())
        self.clear()
        return [decode_rpc(frame) for frame in frames]


class FakeHost:
    """As much of a host as PubSub uses; `outcome` is what comes of opening a stream."""

    def __init__(self) -> None:
        self.key, self.peer_id = US, US.peer_id
        self.factories: dict[str, object] = {}
        self.live: list[object] = []
        self.opened: list[tuple[object, tuple[str, ...]]] = []
        self.streams: list[FakeStream] = []
        self.outcome = lambda: succeed(None)
        self.handle = self.factories.__setitem__
        self.stop_handling = self.factories.__delitem__

    def on_identified(self, call) -> None:
        self.identified = call

    def on_disconnected(self, call) -> None:
        self.disconnected = call

    def connections(self, peer_id=None):
        return [connection for connection in self.live if peer_id in (None, connection.remote_peer)]

    async def open_stream(self, peer_id, protocol_ids):
        self.opened.append((peer_id, tuple(protocol_ids)))
        await self.outcome()
        self.streams.append(FakeStream())
        return self.streams[-1]


class PubSubCase(SynchronousTestCase):
    """PubSub, started and subscribed to `t`, and one peer."""

    def setUp(self) -> None:
        self.host = FakeHost()
        self.clock = Clock()
        self.pubsub = PubSub(self.host, self.clock, Random(0), numbers=WallClockNumbers(lambda: STARTED_NS))
        self.heard: list[PubSubMessage] = []
        self.pubsub.subscribe("t", self.heard.append)
        self.pubsub.start()

    def tearDown(self) -> None:
        self.pubsub.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def identify(self, *protocols: str, outbound: bool = False):
        """The peer is connected and tells what it speaks."""
        identify = SimpleNamespace(protocols=protocols)
        connection = SimpleNamespace(remote_peer=PEER.peer_id, remote_identify=identify, outbound=outbound)
        self.host.live.append(connection)
        self.host.identified(connection)
        return connection

    def inbound(self, protocol: str = GOSSIPSUB_1_1) -> FakeStream:
        """The peer opens its stream."""
        stream = FakeStream()
        stream.attach(self.host.factories[protocol].buildProtocol(StreamAddress(PEER.peer_id, None, protocol)))
        return stream

    def say(self, stream: FakeStream, **parts) -> None:
        stream.protocol.dataReceived(encode_frame(encode_rpc(Rpc(**parts))))

    def say_published(self, stream: FakeStream, data: bytes, seqno: int) -> None:
        self.say(stream, messages=(signing.sign(AUTHOR, "t", data, seqno),))


class StreamTests(PubSubCase):
    def test_best_protocol_of_both(self) -> None:
        """Our stream is opened with what both know, best first, and begins with our subscriptions."""
        self.identify("/ipfs/ping/1.0.0", FLOODSUB, "/meshsub/1.3.0", GOSSIPSUB_1_2, GOSSIPSUB_1_0)
        self.assertEqual(self.host.opened, [(PEER.peer_id, (GOSSIPSUB_1_2, GOSSIPSUB_1_0, FLOODSUB))])
        self.assertEqual(self.host.streams[0].rpcs(), [HELLO])

    def test_others_are_left_alone(self) -> None:
        """A peer that lists no pubsub protocol gets no stream; one that lists it twice gets one."""
        self.identify("/ipfs/ping/1.0.0")
        self.assertEqual(self.host.opened, [])
        self.identify(GOSSIPSUB_1_1)
        self.identify(GOSSIPSUB_1_1)
        self.assertEqual(len(self.host.opened), 1)

    def test_protocols_are_announced(self) -> None:
        """All four are accepted while we run, and none after."""
        self.assertEqual(set(self.host.factories), set(PROTOCOLS))
        factory = self.host.factories[FLOODSUB]
        self.pubsub.stop()
        self.assertEqual(self.host.factories, {})
        self.assertIsNone(factory.buildProtocol(StreamAddress(PEER.peer_id, None, FLOODSUB)))

    def test_inbound_stream_before_identify(self) -> None:
        """A peer whose stream comes first is known from then on, and gets ours."""
        self.say(self.inbound(), subscriptions=HELLO.subscriptions)
        self.assertEqual(self.pubsub.peers("t"), {PEER.peer_id})
        self.assertEqual(self.host.opened, [(PEER.peer_id, (GOSSIPSUB_1_1,))])

    def test_each_stream_has_one_direction(self) -> None:
        """Nothing is ever written to the peer's stream, and what comes on ours is ignored."""
        self.identify(GOSSIPSUB_1_1)
        theirs = self.inbound()
        self.host.streams[0].protocol.dataReceived(encode_frame(encode_rpc(HELLO)))
        self.host.streams[0].protocol.readConnectionLost()
        self.assertEqual(self.pubsub.peers("t"), frozenset())
        self.say(theirs, subscriptions=HELLO.subscriptions)
        self.say_published(theirs, b"m", 1)
        self.clock.pump([1.0] * 5)
        self.pubsub.publish("t", b"ours")
        self.assertEqual((theirs.value(), theirs.disconnecting, theirs.aborted), (b"", False, False))
        self.assertFalse(self.host.streams[0].disconnecting)

    def test_byte_by_byte(self) -> None:
        """An RPC is understood in whatever pieces it comes, and empty frames between."""
        theirs = self.inbound()
        message = signing.sign(AUTHOR, "t", b"m", 1)
        for byte in b"\0" + encode_frame(encode_rpc(Rpc(messages=(message,)))):
            theirs.protocol.dataReceived(bytes([byte]))
        self.assertEqual(self.heard, [PubSubMessage("t", b"m", AUTHOR.peer_id, 1, PEER.peer_id)])

    def test_second_inbound_stream_replaces_the_first(self) -> None:
        """The older one is reset and no longer listened to; its end is not taken for the newer one's."""
        first, second = self.inbound(), self.inbound()
        self.assertEqual((first.aborted, second.aborted), (True, False))
        self.say_published(first, b"old", 1)
        first.lose(ConnectionAborted())
        self.say_published(second, b"new", 2)
        self.assertEqual([message.data for message in self.heard], [b"new"])
        self.inbound()
        self.assertTrue(second.aborted)

    def test_malformed_frames_reset_the_stream(self) -> None:
        """Bytes that are no RPC, and frames that are too long, end the stream; nothing after them counts."""
        valid = encode_frame(encode_rpc(Rpc(messages=(signing.sign(AUTHOR, "t", b"m", 1),))))
        for wrong in (encode_frame(b"\xff"), b"\xff" * 10, encode_frame(bytes(MAX_RPC_BYTES + 1))):
            theirs = self.inbound()
            theirs.protocol.dataReceived(wrong + valid)
            theirs.protocol.dataReceived(valid)
            theirs.protocol.dataReceived(wrong)
            self.assertTrue(theirs.aborted)
        self.assertEqual(self.heard, [])
        self.say_published(self.inbound(), b"m", 1)
        self.assertEqual(self.heard, [], "after three of these the peer is graylisted")

    def test_a_malformed_frame_counts_once(self) -> None:
        """Whatever still comes on a stream that was reset is not held against the peer again."""
        theirs = self.inbound()
        for _ in range(5):
            theirs.protocol.dataReceived(b"\xff" * 10)
        self.say_published(self.inbound(), b"m", 1)
        self.assertEqual(len(self.heard), 1)

    def test_floods_have_to_wait(self) -> None:
        """A peer that sends more fields than its share is not read from until the next heartbeats; nothing is lost."""
        theirs = self.inbound()
        flood = encode_frame(b"\x78\x01" * 6000)
        message = encode_frame(encode_rpc(Rpc(messages=(signing.sign(AUTHOR, "t", b"m", 1),))))
        theirs.protocol.dataReceived(flood * 7 + message)
        self.assertEqual((theirs.producerState, self.heard), ("paused", []))
        for _ in range(2):
            self.clock.advance(1)
            self.assertEqual((theirs.producerState, self.heard), ("paused", []))
        self.clock.advance(1)
        self.assertEqual((theirs.producerState, len(self.heard)), ("producing", 1))

    def test_all_peers_together_have_a_share(self) -> None:
        """When it is used up everybody waits for the next heartbeat, which serves first who has sent least."""
        self.patch(streams, "FIELDS_OF_ALL_PER_HEARTBEAT", 7000)
        self.clock.advance(1)
        theirs, quiet = self.inbound(), FakeStream()
        flood = encode_frame(b"\x78\x01" * 6000)
        message = encode_frame(encode_rpc(Rpc(messages=(signing.sign(AUTHOR, "t", b"m", 1),))))
        theirs.protocol.dataReceived(flood * 3)
        factory = self.host.factories[GOSSIPSUB_1_1]
        quiet.attach(factory.buildProtocol(StreamAddress(AUTHOR.peer_id, None, GOSSIPSUB_1_1)))
        quiet.protocol.dataReceived(message)
        self.assertEqual(["paused", "paused"], [theirs.producerState, quiet.producerState])
        self.assertEqual([], self.heard)
        self.patch(streams, "FIELDS_OF_ALL_PER_HEARTBEAT", 5)
        self.clock.advance(1)
        self.assertEqual(["paused", "producing"], [theirs.producerState, quiet.producerState])
        self.assertEqual(1, len(self.heard))

    def test_empty_frames_have_to_wait_as_well(self) -> None:
        """Frames cost something even if nothing is in them."""
        theirs = self.inbound()
        theirs.protocol.dataReceived(b"\0" * 20_000)
        self.assertEqual(theirs.producerState, "paused")

    def test_lost_stream_is_opened_anew(self) -> None:
        """After a pause, with our subscriptions and mesh links first; what waited for the old stream is forgotten."""
        self.identify(GOSSIPSUB_1_1)
        self.say(self.inbound(), subscriptions=HELLO.subscriptions)
        self.host.streams[0].lose(ConnectionAborted())
        self.pubsub.publish("t", b"meanwhile")
        self.assertEqual(len(self.host.streams), 1)
        self.clock.pump([0.1] * 15)
        self.pubsub.publish("t", b"after")
        hello, message = self.host.streams[1].rpcs()
        self.assertEqual((hello, message.messages[0].data), (Rpc(HELLO.subscriptions, graft=("t",)), b"after"))

    def test_hopeless_peers_are_given_up(self) -> None:
        """A peer to which no stream can be opened is tried five times in all, later and later, and then forgotten."""
        self.host.outcome = lambda: fail(NegotiationError("no"))
        self.identify(GOSSIPSUB_1_1)
        self.say(self.inbound(), subscriptions=HELLO.subscriptions)
        tries = []
        for _ in range(60):
            self.clock.advance(1)
            tries.append(len(self.host.opened))
        self.assertEqual([tries.count(n) for n in range(1, 6)], [0, 2, 4, 8, 46])
        self.assertEqual(self.pubsub.peers("t"), frozenset())

    def test_lasting_streams_make_up_for_failures(self) -> None:
        """A peer whose streams last for minutes is never given up, however often one is lost."""
        self.identify(GOSSIPSUB_1_1)
        self.say(self.inbound(), subscriptions=HELLO.subscriptions)
        for _ in range(8):
            self.clock.pump([1.0] * 90)
            self.host.streams[-1].lose(ConnectionAborted())
        self.assertEqual((len(self.host.streams), self.pubsub.peers("t")), (8, {PEER.peer_id}))

    def test_a_clock_that_is_set_back(self) -> None:
        """By an hour, while a stream is to be opened anew and an author has just been heard: neither waits for it."""
        set_back = 0.0
        steady = SteadyTime(self.clock, lambda: self.clock.rightNow - set_back, lambda: self.clock.rightNow)
        steady.start()
        self.pubsub.stop()
        self.pubsub = PubSub(self.host, self.clock, Random(0))
        self.pubsub.subscribe("t", self.heard.append)
        self.pubsub.start()
        self.identify(GOSSIPSUB_1_1)
        theirs = self.inbound()
        self.say(theirs, messages=tuple(signing.sign(AUTHOR, "t", b"before", n) for n in range(10)))
        self.host.streams[-1].lose(ConnectionAborted())
        streams_before = len(self.host.streams)
        set_back = 3600.0
        self.clock.pump([0.1] * 30)
        self.say(theirs, messages=(signing.sign(AUTHOR, "t", b"after", 10),))
        self.assertEqual(len(self.host.streams), streams_before + 1)
        self.assertEqual(self.heard[-1].data, b"after")
        steady.stop()

    def test_disconnected_peers_are_forgotten(self) -> None:
        """Only with the last connection; a stream that is still being opened then is given up."""
        cancelled: list[Deferred] = []
        self.host.outcome = lambda: Deferred(cancelled.append)
        one, other = self.identify(GOSSIPSUB_1_1), self.identify(GOSSIPSUB_1_1)
        theirs = self.inbound()
        self.say(theirs, subscriptions=HELLO.subscriptions)
        for connection, known in ((one, {PEER.peer_id}), (other, frozenset())):
            self.host.live.remove(connection)
            self.host.disconnected(connection)
            self.assertEqual(self.pubsub.peers("t"), known)
        self.assertTrue(theirs.aborted)
        self.assertEqual(len(cancelled), 1)

    def test_stop_says_goodbye(self) -> None:
        """The last word on our stream is that we leave the topic; then it ends, and the peer's is reset."""
        self.identify(GOSSIPSUB_1_1)
        theirs = self.inbound()
        self.host.streams[0].rpcs()
        self.pubsub.stop()
        self.assertEqual(self.host.streams[0].rpcs(), [Rpc((Subscription("t", False),))])
        self.assertEqual((self.host.streams[0].disconnecting, theirs.aborted), (True, True))
        self.pubsub.stop()

    def test_started_again(self) -> None:
        """After a second start everything is as after the first."""
        self.identify(GOSSIPSUB_1_1)
        self.pubsub.stop()
        self.pubsub.start()
        self.assertEqual(self.host.streams[1].rpcs(), [HELLO])
        self.say_published(self.inbound(), b"m", 1)
        self.assertEqual(len(self.heard), 1)


class SlowPeerTests(PubSubCase):
    def setUp(self) -> None:
        """A peer in the topic whose stream takes nothing after the greeting."""
        super().setUp()
        self.identify(GOSSIPSUB_1_1)
        self.theirs = self.inbound()
        self.say(self.theirs, subscriptions=HELLO.subscriptions)
        self.ours = self.host.streams[0]
        self.ours.rpcs()
        self.ours.producer.pauseProducing()

    def test_messages_are_dropped_and_control_is_kept(self) -> None:
        """Memory stays bounded; when the peer reads again it gets control first, then the oldest messages."""
        for n in range(60):
            self.pubsub.publish("t", bytes([n]) * 100_000)
        self.pubsub.subscribe("u", self.heard.append)
        self.assertEqual(self.ours.value(), b"")
        self.ours.producer.resumeProducing()
        control, *messages = self.ours.rpcs()
        self.assertEqual(control.subscriptions, (Subscription("u", True),))
        self.assertEqual([rpc.messages[0].data[0] for rpc in messages], list(range(20)))

    def test_what_waits_for_many_is_kept_once(self) -> None:
        """Messages that came together wait for slow peers as the same bytes."""
        self.host.outcome = Deferred
        sender, *slow = (PrivateKey.from_seed(bytes([n]) * 32).peer_id for n in (4, 5, 6))
        for peer in (sender, *slow):
            identify = SimpleNamespace(protocols=(FLOODSUB,))
            self.host.identified(SimpleNamespace(remote_peer=peer, remote_identify=identify, outbound=False))
            self.pubsub._run(self.pubsub._router.received(peer, HELLO, 0.0))
        several = Rpc(messages=tuple(signing.sign(AUTHOR, "t", b"%d" % n, n) for n in range(3)))
        self.pubsub._run(self.pubsub._router.received(sender, several, 0.0))
        boxes = [self.pubsub._remotes[peer].outbox for peer in slow]
        waiting = [[box.take() for _ in range(4)][1:] for box in boxes]
        self.assertEqual(*(list(map(id, frames)) for frames in waiting))

    def test_too_much_control_ends_the_stream(self) -> None:
        """What must not be dropped does not grow without end either."""
        self.patch(outbox, "MAX_ESSENTIAL_BYTES", 1000)
        for n in range(100):
            self.pubsub.subscribe(f"topic {n}", self.heard.append)
        self.assertTrue(self.ours.aborted)


class ApplicationTests(PubSubCase):
    def test_publishing(self) -> None:
        """A message is signed, numbered by the wall clock, ever higher, and sent, but not heard by ourselves."""
        self.identify(GOSSIPSUB_1_1)
        self.say(self.inbound(), subscriptions=HELLO.subscriptions)
        self.host.streams[0].rpcs()
        for _ in range(3):
            self.pubsub.publish("t", b"m")
        messages = [rpc.messages[0] for rpc in self.host.streams[0].rpcs()]
        for message in messages:
            signing.check(message)
        self.assertEqual([int.from_bytes(m.seqno, "big") - STARTED_NS for m in messages], [0, 1, 2])
        self.assertEqual(self.heard, [])

    def test_numbers_of_ones_own(self) -> None:
        """Whoever keeps numbers over restarts gives them to the messages, one each and in order."""
        self.pubsub.stop()
        self.pubsub = PubSub(self.host, self.clock, Random(0), numbers=iter((5, 7, 2**64 - 1)).__next__)
        self.pubsub.start()
        self.identify(GOSSIPSUB_1_1)
        self.say(self.inbound(), subscriptions=HELLO.subscriptions)
        for _ in range(3):
            self.pubsub.publish("t", b"m")
        numbers = [message.seqno for rpc in self.host.streams[-1].rpcs() for message in rpc.messages]
        self.assertEqual([int.from_bytes(number, "big") for number in numbers], [5, 7, 2**64 - 1])

    def test_the_clock_numbers_by_default(self) -> None:
        """Whoever gives no numbers gets the wall clock's, in nanoseconds."""
        self.pubsub.stop()
        self.pubsub = PubSub(self.host, self.clock, Random(0))
        self.pubsub.start()
        self.identify(GOSSIPSUB_1_1)
        self.say(self.inbound(), subscriptions=HELLO.subscriptions)
        before = time.time_ns()
        self.pubsub.publish("t", b"m")
        (message,) = [message for rpc in self.host.streams[-1].rpcs() for message in rpc.messages]
        self.assertTrue(before <= int.from_bytes(message.seqno, "big") <= time.time_ns())

    def test_limits_of_publishing(self) -> None:
        """What no RPC can carry is refused at once."""
        with self.assertRaises(MessageTooLarge):
            self.pubsub.publish("t", bytes(MAX_RPC_BYTES))
        for call in (self.pubsub.publish, self.pubsub.subscribe):
            with self.assertRaises(ValueError):
                call("t" * (MAX_TOPIC_BYTES + 1), b"")

    def test_wrong_signatures_are_not_heard(self) -> None:
        """What another has signed in the author's name does not reach the subscriber."""
        forged = signing.sign(PEER, "t", b"m", 1)
        message = signing.sign(AUTHOR, "t", b"m", 1)
        theirs = self.inbound()
        self.say(theirs, messages=(type(message)(message.source, b"m", message.seqno, "t", forged.signature),))
        self.assertEqual(self.heard, [])

    def test_subscribers_are_independent(self) -> None:
        """All subscribers of a topic hear a message, even if one raises; who has unsubscribed does not."""
        also: list[PubSubMessage] = []
        self.pubsub.subscribe("t", lambda message: 1 / 0)
        unsubscribe = self.pubsub.subscribe("t", also.append)
        theirs = self.inbound()
        self.say_published(theirs, b"1", 1)
        unsubscribe()
        unsubscribe()
        self.say_published(theirs, b"2", 2)
        self.assertEqual([len(self.heard), len(also)], [2, 1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_last_unsubscription_leaves_the_topic(self) -> None:
        """As long as one subscriber is left we stay in the topic."""
        self.identify(GOSSIPSUB_1_1)
        first = self.pubsub.subscribe("u", self.heard.append)
        second = self.pubsub.subscribe("u", self.heard.append)
        self.host.streams[0].rpcs()
        first()
        self.assertEqual(self.host.streams[0].rpcs(), [])
        second()
        self.assertEqual(self.host.streams[0].rpcs(), [Rpc((Subscription("u", False),))])

    def test_validators_decide(self) -> None:
        """What a validator does not accept is not heard; one that fails is logged and its message ignored."""
        verdicts = iter((Verdict.IGNORE, Verdict.REJECT, Verdict.ACCEPT))
        self.pubsub.subscribe("t", lambda message: None, validator=lambda message: next(verdicts))
        theirs = self.inbound()
        for n in range(4):
            self.say_published(theirs, b"%d" % n, n)
        self.assertEqual([message.data for message in self.heard], [b"2"])
        self.assertEqual(len(self.flushLoggedErrors(StopIteration)), 1)


class OutboxTests(SynchronousTestCase):
    def test_order_and_bounds(self) -> None:
        """Control comes first, each kind in order; what has been taken or cleared makes room again."""
        self.patch(outbox, "MAX_DROPPABLE_BYTES", 10)
        self.patch(outbox, "MAX_ESSENTIAL_BYTES", 10)
        box = Outbox()
        put = [box.put(bytes([n]) * 6, essential) for n, essential in enumerate((False, True, False, True))]
        self.assertEqual(put, [True, True, False, False])
        self.assertEqual([box.take()[0], box.take()[0], bool(box)], [1, 0, False])
        self.assertTrue(box.put(bytes(10), essential=True) and box.put(bytes(10), essential=False))
        box.clear()
        self.assertFalse(box)
        self.assertTrue(box.put(bytes(10), essential=True) and box.put(bytes(10), essential=False))
