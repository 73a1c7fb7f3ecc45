"""What every stream multiplexer must do, whatever its frames look like. Mixed into a test case of each muxer."""

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from zope.interface import implementer

from nodetrust.testing.memory import Wire


class Recorder(Protocol):
    """Keeps what it is told."""

    def __init__(self):
        self.received = bytearray()
        self.lost = None

    def dataReceived(self, data):
        self.received += data

    def connectionLost(self, reason):
        self.lost = reason


@implementer(IHalfCloseableProtocol)
class HalfCloseRecorder(Recorder):
    """Stays when the other side has finished writing."""

    read_ended = write_ended = False

    def readConnectionLost(self):
        self.read_ended = True

    def writeConnectionLost(self):
        self.write_ended = True


class Echo(Protocol):
    def dataReceived(self, data):
        self.transport.write(data)


class PushProducer:
    """Writes `chunk` until it is paused or has written `total` bytes."""

    def __init__(self, consumer, total, chunk=b"x" * 10000):
        self.consumer, self.left, self.chunk = consumer, total, chunk
        self.paused = True
        self.stopped = False
        consumer.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self):
        self.paused = False
        while not self.paused and self.left:
            piece = self.chunk[: self.left]
            self.left -= len(piece)
            self.consumer.write(piece)
        if not self.left:
            self.consumer.unregisterProducer()

    def pauseProducing(self):
        self.paused = True

    def stopProducing(self):
        self.stopped = True
        self.left = 0


class PullProducer:
    """Writes one chunk each time that it is asked."""

    def __init__(self, consumer, chunks):
        self.consumer, self.chunks = consumer, list(chunks)
        self.asked = 0
        consumer.registerProducer(self, False)

    def resumeProducing(self):
        self.asked += 1
        self.consumer.write(self.chunks.pop(0))
        if not self.chunks:
            self.consumer.unregisterProducer()

    def stopProducing(self):
        self.chunks = []


class MuxerCompliance:
    """Define `make_session(channel, dialer, clock, on_stream, on_closed)`; it returns a session that has started."""

    def make_session(self, channel, dialer, clock, on_stream, on_closed):
        raise NotImplementedError

    def setUp(self):
        self.wire = Wire()
        self.clock = Clock()
        self.inbound = []
        self.closed = []
        self.factory = HalfCloseRecorder
        self.listener = self.make_session(
            self.wire.listener, False, self.clock, self.opened, lambda reason: self.closed.append("listener")
        )
        self.dialer = self.make_session(
            self.wire.dialer, True, self.clock, self.opened, lambda reason: self.closed.append("dialer")
        )
        self.settle()

    def opened(self, stream):
        self.accept(stream)

    def accept(self, stream):
        self.inbound.append(stream)
        stream.attach(self.factory())

    def settle(self, piece_bytes=None):
        """Move everything both ways until all is quiet."""
        for _ in range(3):
            self.wire.pump(piece_bytes)
            self.clock.advance(0)

    def open(self, session=None):
        """A stream with a recorder here, and the protocol at its other end."""
        stream = (session or self.dialer).open_stream()
        here = HalfCloseRecorder()
        stream.attach(here)
        self.settle()
        return stream, here, self.inbound[-1].protocol

    def test_carries_bytes_both_ways(self):
        """What is written to a stream at either end comes out at the other."""
        stream, here, there = self.open()
        stream.write(b"to the listener")
        there.transport.writeSequence([b"to ", b"the ", b"dialer"])
        self.settle()
        self.assertEqual((there.received, here.received), (b"to the listener", b"to the dialer"))

    def test_either_side_opens(self):
        """The listener may open a stream as the dialer may."""
        stream, _, there = self.open(self.listener)
        stream.write(b"hello")
        self.settle()
        self.assertEqual(there.received, b"hello")

    def test_cuts_do_not_matter(self):
        """Bytes that arrive one by one mean the same."""
        self.factory = Echo
        stream, here, _ = self.open()
        stream.write(b"abc" * 100)
        self.settle(piece_bytes=1)
        self.assertEqual(here.received, b"abc" * 100)

    def test_streams_do_not_mix(self):
        """Each of a hundred streams gets its own bytes back."""
        self.factory = Echo
        streams = []
        for number in range(100):
            stream = self.dialer.open_stream()
            stream.attach(HalfCloseRecorder())
            stream.write(b"stream %d" % number)
            streams.append(stream)
        self.settle()
        self.assertEqual(
            [bytes(stream.protocol.received) for stream in streams], [b"stream %d" % n for n in range(100)]
        )

    def test_half_closes_one_way(self):
        """After one side's loseWriteConnection the other may still write; both protocols are told."""
        stream, here, there = self.open()
        stream.write(b"question")
        stream.loseWriteConnection()
        stream.write(b" and no more")
        self.settle()
        self.assertEqual((there.received, there.read_ended, here.write_ended), (b"question", True, True))
        there.transport.write(b"answer")
        self.settle()
        self.assertEqual(here.received, b"answer")
        self.assertIsNone(here.lost)

    def test_half_closes_both_ways(self):
        """When both sides have finished writing the stream ends cleanly and is forgotten."""
        stream, here, there = self.open()
        there.transport.loseWriteConnection()
        self.settle()
        self.assertTrue(here.read_ended)
        stream.loseWriteConnection()
        self.settle()
        for protocol in (here, there):
            self.assertIsNotNone(protocol.lost.check(ConnectionDone))
        self.assertEqual((len(self.dialer.streams), len(self.listener.streams)), (0, 0))

    def test_close_sends_what_is_buffered(self):
        """After loseConnection everything written before arrives, then the end; the protocol ends at once."""
        stream, here, there = self.open()
        stream.write(b"y" * 1_000_000)
        stream.loseConnection()
        self.settle()
        self.assertEqual((len(there.received), there.read_ended), (1_000_000, True))
        self.assertIsNotNone(here.lost.check(ConnectionDone))
        there.transport.write(b"ignored")
        there.transport.loseConnection()
        self.settle()
        self.assertEqual(here.received, b"")
        self.assertEqual((len(self.dialer.streams), len(self.listener.streams)), (0, 0))

    def test_plain_protocol_closes_when_the_other_side_has_finished(self):
        """A protocol without half-close loses the stream at the remote end of writing, its answer still sent."""

        class Answer(Recorder):
            def dataReceived(self, data):
                self.transport.write(b"answer")

        self.factory = Answer
        stream, here, there = self.open()
        stream.write(b"question")
        stream.loseWriteConnection()
        self.settle()
        self.assertEqual((here.received, here.read_ended), (b"answer", True))
        self.assertIsNotNone(there.lost.check(ConnectionDone))

    def test_reset_ends_both_sides_at_once(self):
        """abortConnection drops what is buffered, and neither side sees a clean end; other streams live on."""
        other, _, other_there = self.open()
        stream, here, there = self.open()
        there.transport.pauseProducing()
        stream.write(b"z" * 600_000)
        self.settle()
        stream.abortConnection()
        self.assertIsNone(here.lost, "not from within the call")
        self.settle()
        for protocol in (here, there):
            self.assertIsNone(protocol.lost.check(ConnectionDone))
        other.write(b"still here")
        self.settle()
        self.assertEqual(other_there.received, b"still here")
        self.assertEqual(len(self.dialer.streams), 1)

    def test_writing_to_a_closed_stream_is_ignored(self):
        """As with any Twisted transport, calls after the end do nothing."""
        stream, _, there = self.open()
        stream.abortConnection()
        self.settle()
        stream.write(b"late")
        stream.loseWriteConnection()
        stream.loseConnection()
        stream.abortConnection()
        producer = PushProducer(stream, 0)
        self.settle()
        self.assertTrue(producer.stopped)
        self.assertEqual(there.received, b"")

    def test_slow_reader_stops_the_producer(self):
        """A reader that pauses stops the producer at the other end after a bounded amount, and gets all in the end."""
        stream, _, there = self.open()
        there.transport.pauseProducing()
        total = 5_000_000
        producer = PushProducer(stream, total)
        self.settle()
        sent = total - producer.left
        self.assertTrue(producer.paused)
        self.assertLess(sent, 1_000_000)
        self.assertEqual(there.received, b"")
        self.settle()
        self.assertEqual(total - producer.left, sent)
        there.transport.resumeProducing()
        self.settle()
        self.assertEqual(len(there.received), total)

    def test_slow_reader_does_not_stop_other_streams(self):
        """One stream that nobody reads holds up no other."""
        slow, _, slow_there = self.open()
        slow_there.transport.pauseProducing()
        PushProducer(slow, 5_000_000)
        stream, _, there = self.open()
        stream.write(b"q" * 1_000_000)
        self.settle()
        self.assertEqual(len(there.received), 1_000_000)

    def test_full_socket_stops_the_producer(self):
        """While the channel below takes no more, nothing is written to it, and producers are paused."""
        stream, _, there = self.open()
        self.wire.dialer.producer.pauseProducing()
        producer = PushProducer(stream, 1_000_000)
        self.assertTrue(producer.paused)
        self.assertEqual(len(self.wire.dialer.outgoing), 0)
        self.wire.dialer.producer.resumeProducing()
        self.settle()
        self.assertEqual(len(there.received), 1_000_000)

    def test_pull_producer_is_asked_as_often_as_needed(self):
        """A pull producer is asked for more each time that its last bytes are out."""
        stream, _, there = self.open()
        chunks = [bytes([n]) * 100_000 for n in range(20)]
        PullProducer(stream, chunks)
        stream.loseConnection()
        self.settle()
        self.assertEqual((bytes(there.received), there.read_ended), (b"".join(chunks), True))

    def test_close_waits_for_the_producer(self):
        """As with sockets, a stream that is closed while a producer is registered ends when the producer is done."""

        class Idle:
            def resumeProducing(self):
                pass

        for streaming in (True, False):
            stream, _, there = self.open()
            stream.registerProducer(Idle(), streaming)
            stream.loseConnection()
            self.settle()
            self.assertFalse(there.read_ended)
            stream.write(b"last words")
            stream.unregisterProducer()
            self.settle()
            self.assertEqual((there.received, there.read_ended), (b"last words", True))

    def test_streams_take_turns(self):
        """A stream with much to send does not keep a short message of another waiting behind all of it."""
        long, _, _ = self.open()
        short, _, _ = self.open()
        self.wire.dialer.producer.pauseProducing()
        long.write(b"l" * 200_000)
        short.write(b"short")
        self.wire.dialer.producer.resumeProducing()
        self.assertLess(bytes(self.wire.dialer.outgoing).index(b"short"), 100_000)

    def test_nothing_is_lost_before_a_protocol_is_attached(self):
        """Bytes and the end that come before anybody is attached are delivered when somebody is."""
        streams = []
        self.accept = streams.append
        stream = self.dialer.open_stream()
        stream.write(b"early")
        stream.loseWriteConnection()
        self.settle()
        late = HalfCloseRecorder()
        streams[0].attach(late)
        self.assertEqual((late.received, late.read_ended), (b"early", True))

    def test_closing_the_session_ends_everything(self):
        """close() tells each stream's protocol at both ends, unclean, and its result comes when all is gone."""
        _, here, there = self.open()
        gone = self.dialer.close()
        self.assertNoResult(gone)
        self.settle()
        self.successResultOf(gone)
        for protocol in (here, there):
            self.assertIsNone(protocol.lost.check(ConnectionDone))
        self.assertEqual(sorted(self.closed), ["dialer", "listener"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.successResultOf(self.dialer.close())

    def test_closing_the_session_in_each_state_of_a_stream(self):
        """Whatever a stream was doing, close() leaves no stream and no timer, and tells each protocol once."""

        def nothing(stream, here, there):
            pass

        def local_end(stream, here, there):
            stream.loseWriteConnection()

        def remote_end(stream, here, there):
            there.transport.loseWriteConnection()

        def local_close(stream, here, there):
            stream.loseConnection()

        def remote_close(stream, here, there):
            there.transport.loseConnection()

        def reset(stream, here, there):
            stream.abortConnection()

        def stuck(stream, here, there):
            there.transport.pauseProducing()
            PushProducer(stream, 5_000_000)

        for state in (nothing, local_end, remote_end, local_close, remote_close, reset, stuck):
            for settled in (False, True):
                MuxerCompliance.setUp(self)
                stream, here, there = self.open()
                told = []
                here.connectionLost = there.connectionLost = told.append
                state(stream, here, there)
                if settled:
                    self.settle()
                gone = self.dialer.close()
                self.settle()
                self.successResultOf(gone)
                outcome = (len(told), len(self.dialer.streams), len(self.listener.streams))
                self.assertEqual(outcome, (2, 0, 0), (state, settled))
                self.assertEqual(self.clock.getDelayedCalls(), [], state)

    def test_closing_the_session_from_a_stream(self):
        """A protocol that closes the session while it is being told something ends the rest in an orderly way."""

        class Closer(Recorder):
            def dataReceived(_, data):
                self.listener.close()

        self.factory = Closer
        streams = [self.dialer.open_stream() for _ in range(3)]
        for stream in streams:
            stream.attach(HalfCloseRecorder())
            stream.write(b"close")
        self.dialer.open_stream()
        self.settle()
        self.assertTrue(all(stream.protocol is None for stream in streams + self.inbound))
        self.assertEqual(sorted(self.closed), ["dialer", "listener"])

    def test_losing_the_channel_ends_everything(self):
        """When the socket is gone every stream is, both sessions say so once, and no timer is left."""
        for close in ("loseConnection", "loseWriteConnection", "abortConnection"):
            MuxerCompliance.setUp(self)
            stream, here, there = self.open()
            stream.write(b"w" * 300_000)
            getattr(self.wire.dialer, close)()
            self.settle()
            self.assertEqual(sorted(self.closed), ["dialer", "listener"], close)
            self.assertIsNotNone(here.lost, close)
            self.assertIsNotNone(there.lost, close)
            self.assertEqual(self.clock.getDelayedCalls(), [], close)
