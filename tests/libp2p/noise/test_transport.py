"""Noise on a channel."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import HandshakeError, InvalidData
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.noise import NoiseSecurity
from nodetrust.testing.memory import Wire
from tests.libp2p.security_compliance import I, R, SecurityCompliance


class CountingKey(PrivateKey):
    signatures = 0

    def sign(self, data):
        self.signatures += 1
        return super().sign(data)


class NoiseComplianceTests(SecurityCompliance, SynchronousTestCase):
    def make_security(self, key, muxers):
        return NoiseSecurity(key, muxers)

    def test_no_muxer_in_common(self):
        """Sides that name muxers without one in common refuse each other."""
        outbound, inbound = self.start(dialer_muxers=("/a",), listener_muxers=("/b",))
        self.pump()
        self.assertRefused(outbound)
        self.assertRefused(inbound)

    def test_half_close_is_one_way(self):
        """After our half-close the other direction still works."""
        dialer, at_dialer, listener, at_listener = self.pair()
        dialer.loseWriteConnection()
        self.pump()
        self.assertTrue(at_listener.ended)
        listener.write(b"still here")
        self.pump()
        self.assertEqual(bytes(at_dialer.received), b"still here")

    def test_reason_of_a_bad_frame(self):
        """The protocol above learns that a message was not genuine, and of nothing that comes behind it."""
        dialer, _, _, at_listener = self.pair()
        dialer.write(b"genuine")
        self.wire.listener.deliver(b"\x00\x11" + bytes(17))
        self.wire.listener.deliver(bytes(self.wire.dialer.outgoing))
        self.assertEqual(bytes(at_listener.received), b"")
        at_listener.lost.trap(InvalidData)
        self.assertTrue(self.wire.listener.aborted)

    def test_one_signature_for_all_handshakes(self):
        """A host's identity key signs once, however many handshakes there are: RSA would make each a millisecond."""
        security = NoiseSecurity(key := CountingKey(R.type, R._key), ())
        for _ in range(3):
            wire = Wire()
            inbound = Deferred.fromCoroutine(security.secure_inbound(wire.listener))
            outbound = Deferred.fromCoroutine(security.secure_outbound(wire.dialer, R.peer_id))
            wire.pump()
            self.successResultOf(inbound)
            self.successResultOf(outbound)
        self.assertEqual(key.signatures, 1)

    def test_refusal_says_why(self):
        """The error names the peer that was met, and the one that was expected."""
        outbound, inbound = self.start(expected=I.peer_id)
        self.pump()
        message = self.failureResultOf(outbound, HandshakeError).getErrorMessage()
        self.assertIn(str(R.peer_id), message)
        self.assertIn(str(I.peer_id), message)
        self.assertRefused(inbound)
