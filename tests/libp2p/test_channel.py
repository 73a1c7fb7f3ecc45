"""A channel keeps bytes for the next protocol, keeps their order, and honours pauses and endings."""

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from nodetrust.libp2p.channel import MAX_UNREAD_BYTES
from nodetrust.testing.memory import Wire


class Recorder(Protocol):
    def __init__(self):
        self.received = b""
        self.lost = None

    def dataReceived(self, data):
        self.received += data

    def connectionLost(self, reason):
        self.lost = reason


@implementer(IHalfCloseableProtocol)
class HalfCloseRecorder(Recorder):
    ended = False

    def readConnectionLost(self):
        self.ended = True

    def writeConnectionLost(self):
        pass


class ChannelTests(SynchronousTestCase):
    def setUp(self):
        self.wire = Wire()
        self.channel = self.wire.listener

    def send(self, data):
        self.wire.dialer.write(data)
        self.wire.pump()

    def test_keeps_what_arrives_before_a_protocol(self):
        """Bytes that came while nobody was attached are the first that the next protocol gets."""
        self.send(b"early ")
        recorder = Recorder()
        self.channel.attach(recorder)
        self.send(b"late")
        self.assertEqual(recorder.received, b"early late")

    def test_hands_over_in_the_middle_of_a_delivery(self):
        """A protocol that gives back what it did not need hands it to the next, ahead of anything later."""
        second = Recorder()
        channel = self.channel

        class First(Protocol):
            def dataReceived(self, data):
                channel.detach(data[3:])
                channel.attach(second)

        channel.attach(First())
        self.send(b"oneTWO")
        self.send(b"THREE")
        self.assertEqual(second.received, b"TWOTHREE")

    def test_stops_reading_when_nobody_takes_the_bytes(self):
        """An unattended channel is bounded: past its limit it stops reading, and starts again when attached."""
        self.send(b"x" * (MAX_UNREAD_BYTES + 1))
        self.assertFalse(self.channel.reading)
        recorder = Recorder()
        self.channel.attach(recorder)
        self.assertTrue(self.channel.reading)
        self.assertEqual(len(recorder.received), MAX_UNREAD_BYTES + 1)

    def test_delivers_nothing_while_paused(self):
        """What the layer below still delivers after a pause waits for the resume, in order."""
        recorder = Recorder()
        self.channel.attach(recorder)
        self.channel.pauseProducing()
        self.channel.deliver(b"a")
        self.channel.deliver(b"b")
        self.assertEqual(recorder.received, b"")
        self.channel.resumeProducing()
        self.assertEqual(recorder.received, b"ab")

    def test_half_close_comes_after_the_kept_bytes(self):
        """The end of the remote side's writing is told once, after everything that came before it."""
        self.wire.dialer.write(b"last words")
        self.wire.dialer.loseWriteConnection()
        self.wire.pump()
        recorder = HalfCloseRecorder()
        self.channel.attach(recorder)
        self.assertEqual(recorder.received, b"last words")
        self.assertTrue(recorder.ended)
        self.assertFalse(self.channel.disconnecting)

    def test_half_close_closes_under_a_protocol_that_knows_none(self):
        """As on a Twisted socket, a protocol without half-close loses the whole connection at the remote's end."""
        self.channel.attach(Recorder())
        self.wire.dialer.loseWriteConnection()
        self.wire.pump()
        self.assertTrue(self.channel.disconnecting)

    def test_clean_loss_still_delivers_kept_bytes(self):
        """A connection that ended cleanly has delivered everything before connectionLost."""
        self.channel.deliver(b"kept")
        self.channel.deliver_lost(Failure(ConnectionDone()))
        recorder = Recorder()
        self.channel.attach(recorder)
        self.assertEqual(recorder.received, b"kept")
        recorder.lost.trap(ConnectionDone)

    def test_unclean_loss_is_told_even_when_paused_later(self):
        """A broken connection drops what was kept, and the protocol hears of the loss exactly once."""
        recorder = Recorder()
        self.channel.attach(recorder)
        self.channel.pauseProducing()
        self.channel.deliver(b"kept")
        self.channel.deliver_lost(Failure(ConnectionLost()))
        recorder.lost.trap(ConnectionLost)
        self.assertEqual(recorder.received, b"")
