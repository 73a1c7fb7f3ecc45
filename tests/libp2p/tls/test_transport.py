"""TLS 1.3 as a security layer: what every layer must do, and what peers of other kinds are told."""

from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.channel import TransportChannel
from nodetrust.libp2p.errors import HandshakeError, InvalidData
from nodetrust.libp2p.tls import TlsSecurity
from nodetrust.libp2p.tls.certificate import VALID_AFTER, OwnCertificate, make_certificate
from nodetrust.testing.memory import Wire
from tests.libp2p.security_compliance import YAMUX, I, R, Recorder, SecurityCompliance
from tests.libp2p.tls.test_certificate import make


class TlsComplianceTests(SecurityCompliance, SynchronousTestCase):
    def make_security(self, key, muxers):
        return TlsSecurity(key, muxers, self.clock)

    def test_no_muxer_in_common(self):
        """ALPN falls back to `libp2p`: the muxer is then negotiated on the secured channel."""
        outbound, inbound = self.connect(dialer_muxers=("/a",), listener_muxers=("/b",))
        self.assertEqual((outbound.muxer, inbound.muxer), (None, None))

    def test_reason_of_a_bad_record(self):
        """The protocol above learns of a forged record in words, not as a list of OpenSSL's."""
        dialer, _, _, at_listener = self.pair()
        dialer.write(b"data")
        self.wire.dialer.outgoing[-1] ^= 1
        self.pump()
        at_listener.lost.trap(InvalidData)
        self.assertRegex(at_listener.lost.getErrorMessage(), "^TLS: decryption failed")

    def test_end_without_farewell_is_no_clean_end(self):
        """Data cut off below TLS, by whoever, does not look like the peer's own goodbye."""
        _, _, _, at_listener = self.pair()
        self.wire.dialer.loseConnection()
        self.pump()
        self.assertIn("non-clean", at_listener.lost.getErrorMessage())

    def test_end_of_a_channel_that_can_half_close(self):
        """Twisted's TLS claims the interfaces of what is below, half-close among them, and must then understand it."""
        below = TransportChannel()
        self.wire.listener.attach(below)
        inbound = Deferred.fromCoroutine(self.make_security(R, ()).secure_inbound(below))
        self.assertTrue(IHalfCloseableProtocol.providedBy(below.protocol))
        self.wire.dialer.loseConnection()
        self.pump()
        self.assertRefused(inbound)

    def test_expired(self):
        """A peer whose certificate has run out is refused."""
        listener = self.make_security(R, ())
        self.clock.advance(VALID_AFTER.total_seconds() + 1)
        dialer = self.make_security(I, ())
        outbound = Deferred.fromCoroutine(dialer.secure_outbound(self.wire.dialer, R.peer_id))
        inbound = Deferred.fromCoroutine(listener.secure_inbound(self.wire.listener))
        self.pump()
        self.failureResultOf(outbound, HandshakeError)
        inbound.addErrback(lambda _: None)


def context(certificate=None, *, alpn=(b"libp2p",)):
    """A peer's TLS, with an identity or a certificate of any kind, which takes whatever we send."""
    made = SSL.Context(SSL.TLS_METHOD)
    made.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    if alpn:
        made.set_alpn_protos(list(alpn))
        made.set_alpn_select_callback(lambda _, offered: alpn[0])
    if certificate is not None:
        made.use_certificate(certificate.certificate)
        made.use_privatekey(certificate.private_key)
    return made


class Peer:
    """OpenSSL itself at one end of a wire, with our layer at the other."""

    def __init__(self, made, dialing):
        self.wire = Wire()
        self.own, self.ours = (
            (self.wire.dialer, self.wire.listener) if dialing else (self.wire.listener, self.wire.dialer)
        )
        self.connection = SSL.Connection(made, None)
        self.error = None
        self.recorder = Recorder()
        self.own.attach(self.recorder)
        self.own.loseConnection = lambda: None
        if dialing:
            self.connection.set_connect_state()
        else:
            self.connection.set_accept_state()

    def talk(self):
        """Run the handshake as far as it gets, then read; return what came as application data."""
        data = b""
        for _ in range(8):
            try:
                self.connection.do_handshake()
                data += self.connection.recv(1000)
            except SSL.WantReadError:
                pass
            except SSL.Error as error:
                self.error = self.error or error
            self.flush()
            self.wire.pump()
            if self.recorder.received:
                self.connection.bio_write(bytes(self.recorder.received))
                self.recorder.received.clear()
        return data

    def flush(self):
        try:
            while True:
                self.own.write(self.connection.bio_read(1 << 16))
        except SSL.WantReadError:
            pass


class StrangePeerTests(SynchronousTestCase):
    """Each peer here is OpenSSL itself, set up as other implementations are, or as they should not be."""

    def setUp(self):
        self.clock = Clock()
        self.clock.advance(timedelta(days=20_000).total_seconds())
        self.security = TlsSecurity(R, (YAMUX,), self.clock)
        self.certificate = make_certificate(I, self.clock.seconds())

    def dial_us(self, made):
        peer = Peer(made, dialing=True)
        inbound = Deferred.fromCoroutine(self.security.secure_inbound(peer.ours))
        peer.talk()
        return peer, inbound

    def listen_for_us(self, made, expected=None):
        peer = Peer(made, dialing=False)
        outbound = Deferred.fromCoroutine(self.security.secure_outbound(peer.ours, expected))
        peer.talk()
        return peer, outbound

    def assertRefused(self, peer, secured):
        self.assertTrue(peer.ours.disconnecting)
        peer.ours.deliver_lost(Failure(ConnectionError("gone")))
        return self.failureResultOf(secured, HandshakeError).getErrorMessage()

    def test_ordinary(self):
        """A peer that does as the specification says is let in, either way."""
        for start in (self.dial_us, self.listen_for_us):
            peer, secured = start(context(self.certificate))
            self.assertIsNone(peer.error)
            secured = self.successResultOf(secured)
            self.assertEqual((secured.remote_peer, secured.muxer), (I.peer_id, None))
            self.assertEqual(peer.connection.get_protocol_version_name(), "TLSv1.3")

    def test_no_server_name(self):
        """We send none: it would tell onlookers whom we dial."""
        peer, secured = self.listen_for_us(context(self.certificate))
        self.successResultOf(secured)
        self.assertIsNone(peer.connection.get_servername())

    def test_server_name_is_ignored(self):
        """A dialer that sends one is let in all the same."""
        made = context(self.certificate)
        peer = Peer(made, dialing=True)
        peer.connection.set_tlsext_host_name(b"example.com")
        inbound = Deferred.fromCoroutine(self.security.secure_inbound(peer.ours))
        peer.talk()
        self.successResultOf(inbound)

    def test_muxer_in_the_dialers_order(self):
        """Of what the dialer offers by ALPN, its first that we know counts."""
        _, secured = self.dial_us(context(self.certificate, alpn=(b"/other", b"libp2p", YAMUX.encode())))
        self.assertIsNone(self.successResultOf(secured).muxer)
        _, secured = self.dial_us(context(self.certificate, alpn=(b"/other", YAMUX.encode(), b"libp2p")))
        self.assertEqual(self.successResultOf(secured).muxer, YAMUX)

    def test_no_common_protocol(self):
        """A dialer whose ALPN holds nothing that we know gets TLS's own alert for that, and we say why."""
        peer, secured = self.dial_us(context(self.certificate, alpn=(b"h2", b"http/1.1")))
        self.assertIn("no application protocol", str(peer.error))
        self.assertIn("no ALPN protocol in common", self.assertRefused(peer, secured))

    def test_without_alpn(self):
        """A dialer that offers nothing negotiates its muxer afterwards."""
        _, secured = self.dial_us(context(self.certificate, alpn=()))
        self.assertIsNone(self.successResultOf(secured).muxer)

    def test_tls_1_2(self):
        """Older versions are refused, either way."""
        for start in (self.dial_us, self.listen_for_us):
            made = context(self.certificate)
            made.set_max_proto_version(SSL.TLS1_2_VERSION)
            self.assertRefused(*start(made))

    def test_no_certificate(self):
        """A dialer without a certificate is nobody."""
        self.assertRefused(*self.dial_us(context()))

    def test_chain(self):
        """A second certificate behind the right one is refused, either way."""
        for start in (self.dial_us, self.listen_for_us):
            made = context(self.certificate)
            made.add_extra_chain_cert(make_certificate(R, self.clock.seconds()).certificate)
            self.assertIn("chain", self.assertRefused(*start(made)))

    def test_not_a_libp2p_certificate(self):
        """A self-signed certificate without the extension is refused, either way."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = self.clock.seconds()
        certificate = x509.load_der_x509_certificate(make(None, key=key, begin=now - 9, end=now + 9))
        for start in (self.dial_us, self.listen_for_us):
            message = self.assertRefused(*start(context(OwnCertificate(key, certificate))))
            self.assertIn("no libp2p extension", message)

    def test_wrong_peer(self):
        """The dialer compares: another identity than the expected one is refused."""
        message = self.assertRefused(*self.listen_for_us(context(self.certificate), R.peer_id))
        self.assertIn(str(I.peer_id), message)
