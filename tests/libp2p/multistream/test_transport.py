"""Negotiation on a channel: what the channel is like afterwards, in every outcome."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from nodetrust.libp2p.errors import NegotiationError
from nodetrust.libp2p.multistream.transport import LazyChannel, select_inbound, select_outbound
from nodetrust.libp2p.multistream.wire import HEADER, encode_message
from nodetrust.testing.memory import Wire

HELLO = encode_message(HEADER)
NA = encode_message("na")


@implementer(IHalfCloseableProtocol)
class Recorder(Protocol):
    def __init__(self, greeting=b""):
        self.greeting = greeting
        self.received = b""
        self.ended = False
        self.lost = None

    def connectionMade(self):
        if self.greeting:
            self.transport.write(self.greeting)

    def dataReceived(self, data):
        self.received += data

    def readConnectionLost(self):
        self.ended = True

    def writeConnectionLost(self):
        pass

    def connectionLost(self, reason):
        self.lost = reason


class SelectTests(SynchronousTestCase):
    def setUp(self):
        self.wire = Wire()
        self.clock = Clock()

    def dial(self, *protocol_ids):
        return Deferred.fromCoroutine(select_outbound(self.wire.dialer, protocol_ids, self.clock, 10))

    def listen(self, *protocol_ids):
        return Deferred.fromCoroutine(select_inbound(self.wire.listener, protocol_ids, self.clock, 10))

    def assertAborted(self, channel):
        """The channel was aborted, holds no protocol, and no timer runs on."""
        self.assertTrue(channel.aborted)
        self.assertIsNone(channel.protocol)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_agree(self):
        """Both sides return the same protocol, in pieces of any size, and the channel is free for it."""
        for piece_bytes in (None, 1):
            self.wire = Wire()
            dialed, listened = self.dial("/a", "/b"), self.listen("/b")
            self.wire.pump(piece_bytes)
            self.assertEqual(self.successResultOf(dialed), "/b")
            self.assertEqual(self.successResultOf(listened), "/b")
            self.assertEqual(self.clock.getDelayedCalls(), [])
            recorder = Recorder()
            self.wire.listener.attach(recorder)
            self.wire.dialer.write(b"data")
            self.wire.pump(piece_bytes)
            self.assertEqual(recorder.received, b"data")

    def test_keeps_what_follows(self):
        """Application data in the same write as the proposal is what the next protocol gets first."""
        listened = self.listen("/a")
        self.wire.dialer.write(HELLO + encode_message("/a") + b"early")
        self.wire.pump()
        self.successResultOf(listened)
        recorder = Recorder()
        self.wire.listener.attach(recorder)
        self.assertEqual(recorder.received, b"early")

    def test_listener_answers_a_half_closed_dialer(self):
        """A dialer may send everything and half-close; it is answered all the same, and the end is told afterwards."""
        self.wire.dialer.write(HELLO + encode_message("/a") + b"all")
        self.wire.dialer.loseWriteConnection()
        listened = self.listen("/a")
        answers = Recorder()
        self.wire.dialer.attach(answers)
        self.wire.pump()
        self.assertEqual(self.successResultOf(listened), "/a")
        self.assertEqual(answers.received, HELLO + encode_message("/a"))
        recorder = Recorder()
        self.wire.listener.attach(recorder)
        self.assertEqual((recorder.received, recorder.ended), (b"all", True))

    def test_dialer_gets_no_agreement(self):
        """When every proposal is refused the dialer resets the channel."""
        dialed, listened = self.dial("/a"), self.listen("/b")
        self.wire.pump()
        self.failureResultOf(dialed, NegotiationError)
        self.failureResultOf(listened, NegotiationError)
        self.assertAborted(self.wire.dialer)

    def test_malformed_first_line_closes(self):
        """A listener whose first line is no message closes, and says nothing."""
        listened = self.listen("/a")
        self.wire.dialer.write(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n" + b"." * 80)
        self.wire.pump()
        self.failureResultOf(listened, NegotiationError)
        self.assertAborted(self.wire.listener)

    def test_time_out(self):
        """Silence ends in a NegotiationError that says how long it waited."""
        dialed = self.dial("/a")
        self.clock.advance(10)
        self.assertIn("10 seconds", self.failureResultOf(dialed, NegotiationError).getErrorMessage())
        self.assertAborted(self.wire.dialer)

    def test_cancelled(self):
        """Cancelling resets the channel and leaves nothing behind."""
        dialed = self.dial("/a")
        dialed.cancel()
        self.failureResultOf(dialed, CancelledError)
        self.assertAborted(self.wire.dialer)
        self.wire.pump()

    def test_lost(self):
        """A connection that goes away ends the negotiation."""
        dialed = self.dial("/a")
        self.wire.listener.abortConnection()
        self.wire.pump()
        self.failureResultOf(dialed, NegotiationError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ended_without_agreement(self):
        """A peer that half-closes before it proposed anything known is not waited for."""
        listened = self.listen("/a")
        self.wire.dialer.write(HELLO + encode_message("/b"))
        self.wire.dialer.loseWriteConnection()
        self.wire.pump()
        self.failureResultOf(listened, NegotiationError)
        self.assertAborted(self.wire.listener)


class SelectLazilyTests(SynchronousTestCase):
    def setUp(self):
        self.wire = Wire()
        self.lazy = LazyChannel("/a")
        self.wire.dialer.attach(self.lazy)

    def answer(self, data):
        self.wire.listener.write(data)
        self.wire.pump()

    def test_application_data_rides_along(self):
        """Header, proposal and the application's first bytes are one write."""
        self.lazy.attach(Recorder(b"data"))
        self.assertEqual(bytes(self.wire.dialer.outgoing), HELLO + encode_message("/a") + b"data")

    def test_proposes_for_an_application_that_only_listens(self):
        """The proposal goes out even if the application has nothing to say, and only once."""
        self.lazy.attach(Recorder())
        self.assertEqual(bytes(self.wire.dialer.outgoing), HELLO + encode_message("/a"))
        self.lazy.write(b"later")
        self.assertEqual(bytes(self.wire.dialer.outgoing), HELLO + encode_message("/a") + b"later")

    def test_a_sequence_follows_the_proposal(self):
        """The pieces of a sequence go out behind the proposal, in order."""
        self.lazy.writeSequence([b"da", b"ta"])
        self.assertEqual(bytes(self.wire.dialer.outgoing), HELLO + encode_message("/a") + b"data")

    def test_waits_for_all_of_the_answer(self):
        """Data that is neither answer nor application data yet is kept."""
        recorder = Recorder()
        self.lazy.attach(recorder)
        self.answer(HELLO)
        self.answer(encode_message("/a")[:1])
        self.answer(encode_message("/a")[1:] + b"data")
        self.assertEqual(recorder.received, b"data")

    def test_proposes_before_it_closes(self):
        """A stream that is closed at once has still said what it was for."""
        for close in (self.lazy.loseConnection, self.lazy.loseWriteConnection):
            close()
            self.assertEqual(bytes(self.wire.dialer.outgoing), HELLO + encode_message("/a"))

    def test_answers_never_reach_the_application(self):
        """The application gets what is behind the answers, in pieces of any size, and what comes later."""
        recorder = Recorder(b"data")
        self.lazy.attach(recorder)
        self.wire.listener.write(HELLO + encode_message("/a") + b"one ")
        self.wire.pump(1)
        self.answer(b"two")
        self.assertEqual(recorder.received, b"one two")

    def test_refused(self):
        """On `na` the stream is reset and the application learns why, once."""
        recorder = Recorder(b"data")
        self.lazy.attach(recorder)
        self.answer(HELLO + NA)
        recorder.lost.trap(NegotiationError)
        self.assertTrue(self.wire.dialer.aborted)

    def test_ended_without_an_answer(self):
        """A listener that ends the stream before it has answered has refused."""
        recorder = Recorder()
        self.lazy.attach(recorder)
        self.wire.listener.loseWriteConnection()
        self.wire.pump()
        recorder.lost.trap(NegotiationError)

    def test_endings_pass(self):
        """After the answers, half-close and close are those of the channel below."""
        recorder = Recorder()
        self.lazy.attach(recorder)
        self.wire.listener.write(HELLO + encode_message("/a"))
        self.wire.listener.loseWriteConnection()
        self.wire.pump()
        self.assertTrue(recorder.ended)
        self.lazy.loseConnection()
        self.wire.listener.loseConnection()
        self.wire.pump()
        recorder.lost.trap(ConnectionDone)

    def test_against_a_listener(self):
        """Our own listener takes the lazy proposal, and its answers are filtered out."""
        listened = Deferred.fromCoroutine(select_inbound(self.wire.listener, ["/a"], Clock(), 10))
        client, server = Recorder(b"ping"), Recorder(b"pong")
        self.lazy.attach(client)
        self.wire.pump()
        self.assertEqual(self.successResultOf(listened), "/a")
        self.wire.listener.attach(server)
        self.wire.pump()
        self.assertEqual((client.received, server.received), (b"pong", b"ping"))
