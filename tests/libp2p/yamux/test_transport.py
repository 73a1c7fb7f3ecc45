"""yamux passes what every muxer must, and keeps its own timers, limits and manners."""

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.yamux import StreamResetError, YamuxSession, YamuxStream
from nodetrust.libp2p.yamux.transport import (
    KEEP_ALIVE_SECONDS,
    PING_TIMEOUT_SECONDS,
    SESSION_CLOSE_SECONDS,
    STREAM_CLOSE_SECONDS,
)
from nodetrust.libp2p.yamux.wire import FIN, RST, SYN, FrameReader, FrameType, StreamCode, encode, encode_data
from nodetrust.testing.memory import Wire
from tests.libp2p.muxer_compliance import HalfCloseRecorder, MuxerCompliance


class YamuxComplianceTests(MuxerCompliance, SynchronousTestCase):
    def make_session(self, channel, dialer, clock, on_stream, on_closed):
        session = YamuxSession(channel, dialer, clock, on_stream, on_closed, make_stream=YamuxStream)
        session.start()
        return session


class YamuxSessionTests(SynchronousTestCase):
    """One session against frames that the test writes itself."""

    def setUp(self):
        self.wire = Wire()
        self.clock = Clock()
        self.streams = []
        self.closed = []
        self.session = YamuxSession(
            self.wire.listener, False, self.clock, self.opened, self.closed.append, make_stream=YamuxStream
        )
        self.remote = Protocol()
        self.received = bytearray()
        self.remote.dataReceived = self.received.extend
        self.wire.dialer.attach(self.remote)
        self.session.start()
        self.frames()

    def opened(self, stream):
        self.streams.append(stream)
        stream.attach(HalfCloseRecorder())

    def frames(self, *sent):
        """Send frames, and return the headers of the answers."""
        self.wire.dialer.write(b"".join(sent))
        self.wire.pump()
        answers = [item for item in FrameReader().feed(bytes(self.received)) if not isinstance(item, bytes)]
        self.received.clear()
        return answers

    def open(self, stream_id=1):
        self.frames(encode(FrameType.WINDOW_UPDATE, SYN, stream_id, 0))
        return self.streams[-1]

    def answer_ping(self, counter):
        return self.frames(encode(FrameType.PING, 2, 0, counter))

    def test_measures_the_round_trip_at_the_start(self):
        """A ping goes out at once, and its answer tells the round trip time."""
        self.assertIsNone(self.session.rtt_seconds)
        self.clock.advance(0.25)
        self.answer_ping(1)
        self.assertEqual(self.session.rtt_seconds, 0.25)

    def test_pings_every_thirty_seconds(self):
        """The session pings while it lives, and never sends an answer that nobody asked for."""
        self.answer_ping(1)
        self.clock.advance(KEEP_ALIVE_SECONDS)
        self.assertEqual([(h.type, h.flags, h.length) for h in self.frames()], [(FrameType.PING, SYN, 2)])

    def test_ends_when_a_ping_is_not_answered(self):
        """Ten seconds of silence after a ping end the session: streams lost, GoAway, channel closed or aborted."""
        stream = self.open()
        protocol = stream.protocol
        self.answer_ping(1)
        self.clock.advance(KEEP_ALIVE_SECONDS)
        self.clock.advance(PING_TIMEOUT_SECONDS)
        self.assertIsNone(protocol.lost.check(ConnectionDone))
        self.assertIn(FrameType.GO_AWAY, [header.type for header in self.frames()])
        self.assertEqual(len(self.closed), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lives_on_when_anything_comes_after_a_ping(self):
        """Frames that arrive after a ping are a sign of life even if its answer is late."""
        stream = self.open()
        self.frames(encode_data(stream.stream_id, [b"busy"], 4))
        self.clock.advance(PING_TIMEOUT_SECONDS)
        self.assertFalse(self.session.closed)

    def test_aborts_a_channel_that_does_not_close(self):
        """A remote side that neither reads nor closes is cut off in bounded time."""
        gone = self.session.close()
        self.assertIsNone(self.wire.listener.producer)
        self.assertFalse(self.wire.listener.aborted)
        self.clock.advance(SESSION_CLOSE_SECONDS)
        self.assertTrue(self.wire.listener.aborted)
        self.wire.pump()
        self.successResultOf(gone)

    def test_resets_a_closed_stream_that_the_other_side_keeps_open(self):
        """A stream that we have closed is reset when thirty seconds bring no progress."""
        stream = self.open()
        stream.loseConnection()
        self.clock.advance(0)
        self.assertEqual(list(self.session.streams), [1])
        self.clock.advance(STREAM_CLOSE_SECONDS)
        self.assertEqual(self.session.streams, {})
        last = self.frames()[-1]
        self.assertEqual((last.flags, last.stream_id, last.length), (RST, 1, StreamCode.GARBAGE_COLLECTED))

    def test_progress_gives_a_closed_stream_more_time(self):
        """The thirty seconds begin anew with each frame that a closing stream sends."""
        stream = self.open()
        stream.write(b"x" * 300_000)
        stream.loseConnection()
        self.answer_ping(1)
        self.clock.advance(STREAM_CLOSE_SECONDS - 1)
        self.frames(encode(FrameType.WINDOW_UPDATE, 0, 1, 10))
        self.clock.advance(STREAM_CLOSE_SECONDS - 1)
        self.assertIn(1, self.session.streams)

    def test_tells_the_code_of_a_reset(self):
        """The protocol of a stream that the remote side resets learns the code."""
        stream = self.open()
        protocol = stream.protocol
        self.frames(encode(FrameType.WINDOW_UPDATE, RST, 1, 0x1003))
        self.assertEqual(protocol.lost.value.code, 0x1003)
        self.assertIsNotNone(protocol.lost.check(StreamResetError))

    def test_reset_says_why(self):
        """`reset` puts our code on the wire."""
        self.open().reset(StreamCode.PROTOCOL_VIOLATION)
        answer = self.frames()[-1]
        self.assertEqual((answer.flags, answer.length), (RST, StreamCode.PROTOCOL_VIOLATION))

    def test_acknowledges_before_it_writes(self):
        """The first frame of an accepted stream is the acknowledgement, data that a protocol writes at once follow."""
        self.opened = lambda stream: stream.write(b"banner")
        self.session._on_stream = self.opened
        answers = self.frames(encode(FrameType.WINDOW_UPDATE, SYN, 1, 0))
        self.assertEqual([(h.type, h.flags) for h in answers], [(FrameType.WINDOW_UPDATE, 2), (FrameType.DATA, 0)])

    def test_closed_stream_drops_what_still_comes(self):
        """After loseConnection incoming data is dropped, no window is granted for it, and FIN completes the end."""
        stream = self.open()
        stream.loseConnection()
        answers = self.frames(encode_data(1, [b"d" * 200_000], 200_000))
        self.assertEqual([header.flags for header in answers], [2, FIN][-len(answers) :])
        self.frames(encode(FrameType.WINDOW_UPDATE, FIN, 1, 0))
        self.assertEqual(self.session.streams, {})
        self.assertEqual(self.session._machine.budget.unread, 0)

    def test_breaking_the_rules_ends_the_session_without_a_traceback(self):
        """A violation is answered by GoAway(1), the channel is closed and nothing is logged as a failure."""
        protocol = self.open().protocol
        answers = self.frames(encode(FrameType.WINDOW_UPDATE, SYN, 1, 0))
        self.assertEqual((answers[-1].type, answers[-1].length), (FrameType.GO_AWAY, 1))
        self.assertIsNotNone(protocol.lost)
        self.assertEqual(len(self.closed), 1)

    def test_failing_protocol_loses_its_stream_only(self):
        """An exception from a stream's protocol is logged, and that stream is reset; others go on."""
        first, second = self.open(1), self.open(3)
        first.protocol.dataReceived = lambda data: 1 / 0
        self.frames(encode_data(1, [b"a"], 1), encode_data(3, [b"b"], 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(second.protocol.received, b"b")
        self.assertEqual(list(self.session.streams), [3])

    def test_detached_stream_keeps_to_its_window(self):
        """A protocol that is changed in the middle gets back what the first did not need, and is not credited twice."""
        stream = self.open()

        class First(Protocol):
            def dataReceived(self, data):
                stream.detach(data[3:])

        stream.attach(First())
        self.frames(encode_data(1, [b"onetwo"], 6), encode_data(1, [b"three"], 5))
        second = HalfCloseRecorder()
        stream.attach(second)
        self.assertEqual(second.received, b"twothree")
        self.assertEqual(self.session._machine.budget.unread, 0)

    def test_stream_that_is_reset_at_once_is_not_announced(self):
        """SYN and RST in one read make no stream, so that a flood of them costs little."""
        self.assertEqual(self.frames(encode(FrameType.WINDOW_UPDATE, SYN | RST, 1, 0)), [])
        self.assertEqual((self.streams, self.session.streams), ([], {}))

    def test_closed_protocol_is_not_told_of_the_remote_end(self):
        """After loseConnection there is no readConnectionLost, even if the remote side's FIN comes right then."""
        stream = self.open()
        protocol = stream.protocol
        stream.loseConnection()
        self.frames(encode(FrameType.WINDOW_UPDATE, FIN, 1, 0))
        self.clock.advance(0)
        self.assertFalse(protocol.read_ended)
        self.assertIsNotNone(protocol.lost.check(ConnectionDone))

    def test_given_back_bytes_count_as_unread(self):
        """What a protocol gives back when it is detached counts until the next one has taken it."""
        stream = self.open()
        self.frames(encode_data(1, [b"onetwo"], 6))
        stream.detach(b"two")
        self.frames(encode_data(1, [b"three"], 5))
        self.assertEqual(self.session._machine.budget.unread, 8)

    def test_writes_fill_one_message_of_noise(self):
        """No write to the channel is larger than one Noise message can carry, and bulk data fill it."""
        stream = self.open()
        sizes = []
        self.wire.listener.write = lambda data: sizes.append(len(data))
        self.session.pauseProducing()
        for _ in range(3):
            stream.write(b"x" * 65536)
        self.session.resumeProducing()
        self.assertEqual(sizes, [65519, 65519, 65519, 3 * 65536 - 3 * 65507 + 12])

    def test_passes_on_the_addresses(self):
        """A stream's peer and host are those of its connection."""
        stream = self.open()
        self.assertEqual((stream.getPeer().port, stream.getHost().port), (40001, 40002))
