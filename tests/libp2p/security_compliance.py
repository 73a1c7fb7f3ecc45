"""What every security layer must pass: `class NoiseComplianceTests(SecurityCompliance, SynchronousTestCase)`."""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.libp2p.errors import HandshakeError
from nodetrust.libp2p.keys import KeyType, PrivateKey
from nodetrust.testing.memory import Wire

R = PrivateKey.from_seed(b"\x01" * 32)
I = PrivateKey.from_seed(b"\x02" * 32)  # noqa: E741  # the name that the published vectors give this key
YAMUX = "/yamux/1.0.0"
LOST = Failure(ConnectionLost())

# Several classes run one such test, which Hypothesis warns of; each of them begins with a `setUp` of its own.
GIVEN_TO_EVERY_LAYER = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.differing_executors])


@implementer(IHalfCloseableProtocol)
class Recorder(Protocol):
    """Notes what a channel tells the protocol on it."""

    def __init__(self):
        self.received = bytearray()
        self.ended = False
        self.lost = None

    def dataReceived(self, data):
        self.received += data

    def readConnectionLost(self):
        self.ended = True

    def writeConnectionLost(self):
        pass

    def connectionLost(self, reason):
        assert self.lost is None, "connectionLost was called twice"
        self.lost = reason


class Producer:
    paused = stopped = False

    def pauseProducing(self):
        self.paused = True

    def resumeProducing(self):
        self.paused = False

    def stopProducing(self):
        self.stopped = True


class SecurityCompliance:
    """`make_security(key, muxers)` makes the layer under test, on `self.clock`."""

    def setUp(self):
        self.clock = Clock()
        self.wire = Wire()

    def make_security(self, key, muxers):
        raise NotImplementedError

    def start(self, expected=None, dialer_key=I, listener_key=R, dialer_muxers=(YAMUX,), listener_muxers=(YAMUX,)):
        """Begin a handshake on `self.wire`: the Deferreds of the dialer's and of the listener's side."""
        dialer = self.make_security(dialer_key, dialer_muxers)
        listener = self.make_security(listener_key, listener_muxers)
        return (
            Deferred.fromCoroutine(dialer.secure_outbound(self.wire.dialer, expected)),
            Deferred.fromCoroutine(listener.secure_inbound(self.wire.listener)),
        )

    def pump(self, piece_bytes=None):
        """Move bytes until nothing moves, with what the layer puts off to the reactor's next turn."""
        self.wire.pump(piece_bytes)
        while self.clock.getDelayedCalls():
            self.clock.advance(0)
            self.wire.pump(piece_bytes)

    def connect(self, piece_bytes=None, **options):
        """The outcomes of a handshake that succeeds, the dialer's first."""
        outbound, inbound = self.start(**options)
        self.pump(piece_bytes)
        return self.successResultOf(outbound), self.successResultOf(inbound)

    def pair(self):
        """The two channels after a handshake, each with a Recorder: dialer, its recorder, listener, its recorder."""
        outbound, inbound = self.connect()
        recorders = Recorder(), Recorder()
        outbound.channel.attach(recorders[0])
        inbound.channel.attach(recorders[1])
        return outbound.channel, recorders[0], inbound.channel, recorders[1]

    def assertRefused(self, deferred):
        """It failed with a HandshakeError, and nothing is left to run."""
        self.failureResultOf(deferred, HandshakeError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_each_learns_who_the_other_is(self):
        """Both sides get the other's key and peer ID, whatever the type of the key."""
        for type in KeyType:
            self.wire = Wire()
            key = PrivateKey.generate(type)
            outbound, inbound = self.connect(dialer_key=key, expected=R.peer_id)
            self.assertEqual((outbound.remote_key, outbound.remote_peer), (R.public_key, R.peer_id))
            self.assertEqual((inbound.remote_key, inbound.remote_peer), (key.public_key, key.peer_id))

    def test_byte_by_byte(self):
        """The handshake and the data after it arrive in pieces of any size."""
        for piece_bytes in (1, 3, 1000):
            self.wire = Wire()
            outbound, inbound = self.connect(piece_bytes)
            recorder = Recorder()
            inbound.channel.attach(recorder)
            outbound.channel.write(b"in pieces")
            self.pump(piece_bytes)
            self.assertEqual(bytes(recorder.received), b"in pieces")

    def test_wrong_peer(self):
        """A dialer that meets another peer than it expects fails, and the listener never gets its channel."""
        outbound, inbound = self.start(expected=I.peer_id)
        self.pump()
        self.assertRefused(outbound)
        self.assertTrue(self.wire.dialer.disconnecting)
        if inbound.called and not isinstance(inbound.result, Failure):
            # TLS 1.3 has finished on the listener's side by then: its channel must be on its way out.
            recorder = Recorder()
            inbound.result.channel.attach(recorder)
            self.pump()
            self.assertIsNotNone(recorder.lost)
        else:
            self.assertRefused(inbound)

    def test_data_both_ways(self):
        """What is written on one side is read on the other, in both directions at once."""
        dialer, at_dialer, listener, at_listener = self.pair()
        dialer.write(b"to the ")
        listener.writeSequence([b"to the ", b"dialer"])
        dialer.writeSequence([b"list", b"ener"])
        self.pump()
        self.assertEqual(
            (bytes(at_dialer.received), bytes(at_listener.received)), (b"to the dialer", b"to the listener")
        )

    def test_is_encrypted(self):
        """The plaintext is not on the wire."""
        dialer, *_ = self.pair()
        dialer.write(b"attack at dawn")
        self.assertNotIn(b"attack", self.wire.dialer.outgoing)

    def test_large_data(self):
        """Writes of every size around the layer's frame sizes arrive whole and in order."""
        dialer, _, _, at_listener = self.pair()
        sent = bytearray()
        for size in (0, 1, 2**14 - 1, 2**14, 2**14 + 1, 65518, 65519, 65520, 65536, 300_000):
            data = os.urandom(size)
            sent += data
            dialer.write(data)
        self.pump(10_007)
        self.assertEqual(at_listener.received, sent)

    def test_keeps_data_until_a_protocol_is_attached(self):
        """What arrives together with the end of the handshake waits for the protocol, on either side."""
        outbound, inbound = self.start()
        outbound.addCallback(lambda secured: secured.channel.write(b"first words") or secured)
        self.pump()
        recorder = Recorder()
        self.successResultOf(inbound).channel.attach(recorder)
        self.assertEqual(bytes(recorder.received), b"first words")

    def test_pause(self):
        """A paused channel delivers nothing and stops the channel below; resumed, it delivers all."""
        dialer, _, listener, at_listener = self.pair()
        listener.pauseProducing()
        self.assertFalse(self.wire.listener.reading)
        dialer.write(b"x" * 200_000)
        self.pump()
        self.assertEqual(bytes(at_listener.received), b"")
        listener.resumeProducing()
        self.pump()
        self.assertEqual(len(at_listener.received), 200_000)

    def test_producer(self):
        """A producer is registered with the channel below, and told what that says."""
        dialer, *_ = self.pair()
        producer = Producer()
        dialer.registerProducer(producer, True)
        self.wire.dialer.producer.pauseProducing()
        self.assertTrue(producer.paused)
        self.wire.dialer.producer.resumeProducing()
        self.assertFalse(producer.paused)
        dialer.unregisterProducer()
        self.assertIsNone(self.wire.dialer.producer)

    def test_close(self):
        """Closing writes everything first; the other side reads it all, and both hear of the end once."""
        dialer, at_dialer, listener, at_listener = self.pair()
        dialer.write(b"x" * 100_000)
        dialer.loseConnection()
        self.pump()
        self.assertEqual(len(at_listener.received), 100_000)
        self.assertTrue(at_listener.ended or at_listener.lost)
        listener.loseConnection()
        self.pump()
        self.assertIsNotNone(at_listener.lost)
        self.assertIsNotNone(at_dialer.lost)

    def test_half_close(self):
        """What was written before a half-close arrives, and then the end of it is told."""
        dialer, _, _, at_listener = self.pair()
        dialer.write(b"last words")
        dialer.loseWriteConnection()
        self.pump()
        self.assertEqual(bytes(at_listener.received), b"last words")
        self.assertTrue(at_listener.ended or at_listener.lost)

    def test_end_of_the_channel_below(self):
        """A peer that ends the channel below, without a word of this layer, is not waited for."""
        _, _, _, at_listener = self.pair()
        self.wire.dialer.loseConnection()
        self.pump()
        self.assertTrue(at_listener.ended or at_listener.lost)

    def test_abort(self):
        """Aborting drops the connection on both sides."""
        dialer, at_dialer, _, at_listener = self.pair()
        dialer.abortConnection()
        self.pump()
        self.assertIsNotNone(at_dialer.lost)
        self.assertIsNotNone(at_listener.lost)

    def test_verbs_after_the_end(self):
        """A protocol that has not noticed the end may still write, pause and close: nothing happens."""
        dialer, _, listener, at_listener = self.pair()
        dialer.abortConnection()
        self.pump()
        self.assertIsNotNone(at_listener.lost)
        for channel in (dialer, listener):
            channel.write(b"too late")
            channel.pauseProducing()
            channel.resumeProducing()
            channel.loseWriteConnection()
            channel.loseConnection()
            channel.abortConnection()
        self.pump()

    def test_tampered(self):
        """One changed bit ends the connection: nothing of that frame is delivered, and the reason is told."""
        for position in (2, 20, -1):
            self.wire = Wire()
            dialer, _, _, at_listener = self.pair()
            dialer.write(b"ten thousand")
            self.wire.dialer.outgoing[position] ^= 1
            self.pump()
            self.assertEqual(bytes(at_listener.received), b"")
            self.assertTrue(self.wire.listener.disconnecting)
            self.assertIsNotNone(at_listener.lost)
            self.assertTrue(at_listener.lost.getErrorMessage())

    def test_broken_off_in_the_handshake(self):
        """A connection lost, ended or aborted after any number of bytes leaves neither side waiting."""
        endings = (
            lambda wire: wire.dialer.abortConnection(),
            lambda wire: wire.dialer.loseConnection(),
            lambda wire: wire.listener.loseConnection(),
            lambda wire: (wire.dialer.deliver_lost(LOST), wire.listener.deliver_lost(LOST)),
        )
        for ending in endings:
            for moved_bytes in (0, 1, 40, 200, 250, 400, 1500, 2500, 3500):
                self.wire = Wire()
                sides = self.start()
                self.move(moved_bytes)
                ending(self.wire)
                self.pump()
                for side in sides:
                    if not side.called or isinstance(side.result, Failure):
                        self.assertRefused(side)

    def move(self, wanted_bytes):
        """Move no more than so many bytes, both ways together."""
        ways = ((self.wire.dialer, self.wire.listener), (self.wire.listener, self.wire.dialer))
        while wanted_bytes and (self.wire.dialer.outgoing or self.wire.listener.outgoing):
            for source, target in ways:
                piece = bytes(source.outgoing[:wanted_bytes])
                if piece:
                    del source.outgoing[:wanted_bytes]
                    wanted_bytes -= len(piece)
                    target.deliver(piece)

    def test_cancelled(self):
        """A cancelled handshake aborts the channel and leaves nothing behind."""
        for side in (0, 1):
            self.wire = Wire()
            sides = self.start()
            sides[side].cancel()
            self.failureResultOf(sides[side], CancelledError)
            self.assertTrue((self.wire.dialer, self.wire.listener)[side].aborted)
            self.pump()
            self.assertRefused(sides[1 - side])

    @GIVEN_TO_EVERY_LAYER
    @given(st.binary(min_size=1, max_size=300), st.booleans())
    def test_garbage_first(self, data, dialing):
        """Bytes that are no handshake fail it or leave it waiting; nothing else is raised, and nothing is logged."""
        self.setUp()
        outbound, inbound = self.start()
        side, channel = (outbound, self.wire.dialer) if dialing else (inbound, self.wire.listener)
        channel.deliver(data)
        channel.deliver_lost(LOST)
        self.assertRefused(side)
        (inbound if dialing else outbound).addErrback(lambda _: None)

    @GIVEN_TO_EVERY_LAYER
    @given(st.integers(0, 10_000), st.integers(0, 7), st.booleans())
    def test_tampered_handshake(self, position, bit, dialing):
        """No side ever ends up with another identity than the other's, whichever bit of the handshake is changed."""
        self.setUp()
        outbound, inbound = self.start()
        source = self.wire.dialer if dialing else self.wire.listener
        changed = [False]
        write = type(source).write

        def tampering_write(data):
            write(source, data)
            if not changed[0] and len(source.outgoing) > 0:
                source.outgoing[position % len(source.outgoing)] ^= 1 << bit
                changed[0] = True

        source.write = tampering_write
        if dialing:
            source.outgoing[position % len(source.outgoing)] ^= 1 << bit
            changed[0] = True
        self.pump()
        self.wire.dialer.abortConnection()
        self.pump()
        for side, identity in ((outbound, R), (inbound, I)):
            if isinstance(side.result, Failure):
                self.assertRefused(side)
            else:
                self.assertEqual(side.result.remote_peer, identity.peer_id)

    def test_muxer(self):
        """The dialer's first muxer that the listener has too is settled in the handshake; both get the same answer."""
        table = (
            (("/a", "/b"), ("/b", "/a"), "/a"),
            (("/x", "/b"), ("/b",), "/b"),
            ((), ("/a",), None),
            (("/a",), (), None),
            ((), (), None),
        )
        for dialer_muxers, listener_muxers, muxer in table:
            self.wire = Wire()
            outbound, inbound = self.connect(dialer_muxers=dialer_muxers, listener_muxers=listener_muxers)
            self.assertEqual((outbound.muxer, inbound.muxer), (muxer, muxer))

    def test_end_addresses(self):
        """A secured channel has the addresses of the one below."""
        outbound, _ = self.connect()
        self.assertEqual(outbound.channel.getPeer(), self.wire.dialer.getPeer())
        self.assertEqual(outbound.channel.getHost(), self.wire.dialer.getHost())
