"""Certificates of libp2p's TLS: the published ones, our own, and forgeries of many kinds."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA224, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import HandshakeError
from nodetrust.libp2p.keys import KeyType, PrivateKey
from nodetrust.libp2p.tls.certificate import (
    EXTENSION_OID,
    SIGNATURE_PREFIX,
    _signed_key,
    make_certificate,
    verify_peer_certificate,
)
from tests.libp2p.security_compliance import R
from tests.libp2p.tls import published

NOW = datetime(2026, 8, 1, tzinfo=UTC).timestamp()
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])


def make(
    identity=R,
    *,
    key=None,
    issuer=NAME,
    signing_key=None,
    digest=None,
    begin=NOW - 60,
    end=NOW + 60,
    critical=False,
    value=None,
    others=(),
):
    """A certificate that is right but for what the arguments change, as DER."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(
        subject_name=NAME,
        issuer_name=issuer,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=datetime.fromtimestamp(begin, UTC),
        not_valid_after=datetime.fromtimestamp(end, UTC),
    )
    if identity is not None:
        info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        signed_key = _signed_key(identity, info)
        if value is not None:
            signed_key = x509.UnrecognizedExtension(EXTENSION_OID, value(signed_key.value))
        builder = builder.add_extension(signed_key, critical)
    for extension, is_critical in others:
        builder = builder.add_extension(extension, is_critical)
    return builder.sign(signing_key or key, digest or SHA256()).public_bytes(Encoding.DER)


class PublishedTests(SynchronousTestCase):
    def test_valid(self):
        """The specification's certificates verify and name its peers."""
        for der, peer_id in (
            (published.ED25519, "12D3KooWM6CgA9iBFZmcYAHA6A2qvbAxqfkmrYiRQuz3XEsk4Ksv"),
            (published.ECDSA, "QmfXbAwNjJLXfesgztEHe8HwgVDCMMpZ9Eax1HYq6hn9uE"),
            (published.SECP256K1, "16Uiu2HAkutTMoTzDw1tCvSRtu6YoixJwS46S1ZFxW8hSx9fWHiPs"),
        ):
            self.assertEqual(str(verify_peer_certificate(der, NOW).peer_id), peer_id)

    def test_forged(self):
        """The one whose extension was signed with another key is refused for that."""
        with self.assertRaisesRegex(HandshakeError, "signature"):
            verify_peer_certificate(published.FORGED, NOW)


class MakeCertificateTests(SynchronousTestCase):
    def test_every_kind_of_identity(self):
        """What we make, we take, whatever the identity key's type."""
        for type in KeyType:
            identity = PrivateKey.generate(type)
            der = make_certificate(identity, NOW).certificate.public_bytes(Encoding.DER)
            self.assertEqual(verify_peer_certificate(der, NOW), identity.public_key)

    def test_as_go_and_js_want_it(self):
        """P-256 with SHA-256, the libp2p extension alone, valid from an hour ago for a hundred years."""
        own = make_certificate(R, NOW)
        certificate = own.certificate
        self.assertIsInstance(certificate.public_key().curve, ec.SECP256R1)
        self.assertEqual(certificate.signature_hash_algorithm.name, "sha256")
        self.assertEqual([extension.oid for extension in certificate.extensions], [EXTENSION_OID])
        self.assertEqual(certificate.version, x509.Version.v3)
        self.assertEqual(certificate.not_valid_before_utc.timestamp(), NOW - 3600)
        self.assertGreater(certificate.not_valid_after_utc - certificate.not_valid_before_utc, timedelta(days=36500))
        self.assertEqual(certificate.public_key(), own.private_key.public_key())


class VerifyTests(SynchronousTestCase):
    def test_tolerates(self):
        """Any certificate key of its own; the extension critical, as js has it; others that are not critical."""
        comment = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        constraints = x509.BasicConstraints(ca=False, path_length=None)
        for der in (
            make(),
            make(key=rsa.generate_private_key(65537, 2048)),
            make(critical=True),
            make(others=[(comment, False), (constraints, False)]),
        ):
            self.assertEqual(verify_peer_certificate(der, NOW), R.public_key)

    def test_validity(self):
        """The first and the last second count; those around them don't."""
        der = make()
        for now in (NOW - 60, NOW + 60):
            verify_peer_certificate(der, now)
        for now in (NOW - 61, NOW + 61):
            with self.assertRaisesRegex(HandshakeError, "not valid now"):
                verify_peer_certificate(der, now)

    def test_refuses(self):
        """Not signed by itself, a weak digest, an unknown critical extension, or none of ours."""
        stranger = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        other_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody else")])
        for der in (
            make(signing_key=ec.generate_private_key(ec.SECP256R1())),
            make(issuer=other_name),
            make(key=rsa.generate_private_key(65537, 2048), digest=SHA224()),
            make(others=[(stranger, True)]),
            make(identity=None),
        ):
            with self.assertRaises(HandshakeError):
                verify_peer_certificate(der, NOW)

    def test_refuses_another_certificates_extension(self):
        """The extension is bound to the certificate's key: copied into another certificate it proves nothing."""
        copied = _signed_key(R, b"another key").value
        with self.assertRaisesRegex(HandshakeError, "signature"):
            verify_peer_certificate(make(value=lambda _: copied), NOW)

    def test_refuses_malformed_extensions(self):
        """Cut short, with something behind or inside, another tag, a long form of a length, or no key in it."""
        changes = (
            lambda value: b"",
            lambda value: value[:1],
            lambda value: value[:-1],
            lambda value: value + b"\x00",
            lambda value: b"\x31" + value[1:],
            lambda value: b"\x30\x81" + value[1:],
            lambda value: b"\x30\x80" + value[2:] + b"\x00\x00",
            lambda value: b"\x30\xff" + value[2:],
            lambda value: b"\x30" + bytes((value[1] + 2,)) + value[2:] + b"\x04\x00",
            lambda value: b"\x30\x04\x04\x00\x04\x00",
        )
        for change in changes:
            with self.assertRaises(HandshakeError):
                verify_peer_certificate(make(value=change), NOW)

    def test_signature_prefix(self):
        """The identity signs the prefix and the SubjectPublicKeyInfo, so its signature serves nowhere else."""
        self.assertEqual(SIGNATURE_PREFIX, b"libp2p-tls-handshake:")

    @given(st.integers(0, len(published.ED25519) * 8 - 1))
    def test_no_bit_may_change(self, position):
        """A published certificate with any one bit changed is refused."""
        changed = bytearray(published.ED25519)
        changed[position // 8] ^= 1 << position % 8
        with self.assertRaises(HandshakeError):
            verify_peer_certificate(bytes(changed), NOW)

    @given(st.binary(max_size=500))
    def test_garbage(self, data):
        """Bytes that are no certificate are refused."""
        with self.assertRaises(HandshakeError):
            verify_peer_certificate(data, NOW)
