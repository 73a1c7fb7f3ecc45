"""The certificate of libp2p's TLS: self-signed, with an extension in which the identity key vouches for its key.

Source: libp2p/specs `tls/tls.md`. The extension's value is DER, `SEQUENCE { publicKey OCTET STRING, signature OCTET
STRING }`: the identity key as protobuf, and its signature over a prefix and the certificate's SubjectPublicKeyInfo.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from nodetrust.libp2p.errors import HandshakeError, InvalidKey
from nodetrust.libp2p.keys import PrivateKey, PublicKey

EXTENSION_OID = x509.ObjectIdentifier("1.3.6.1.4.1.53594.1.1")
SIGNATURE_PREFIX = b"libp2p-tls-handshake:"

VALID_BEFORE = timedelta(hours=1)
"""For peers whose clock is behind ours, as go and js do."""
VALID_AFTER = timedelta(days=36525)
"""A hundred years, as go and js do: the key behind it lives no longer than the process."""

MIN_DIGEST_BYTES = 32
"""The specification wants hash functions of at least 256 bits."""

_SEQUENCE = 0x30
_OCTET_STRING = 0x04

# It warns of what it will refuse one day. Here that is in strangers' certificates, and not worth a line in our log.
warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning, module=__name__.replace(".", r"\."))

_UNREADABLE = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises about a certificate that somebody else made."""


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """A certificate and the key that it is for; good for every connection of a host."""

    private_key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def make_certificate(identity: PrivateKey, now: float) -> OwnCertificate:
    """Make a fresh P-256 key and its certificate, valid from an hour before `now` (seconds since 1970).

    The libp2p extension is the only one: js reads no other than the first.
    """
    private_key = ec.generate_private_key(ec.SECP256R1())
    public_key = private_key.public_key()
    serial = x509.random_serial_number()
    name = x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, str(serial))])
    begin = datetime.fromtimestamp(now, UTC)
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=public_key, serial_number=serial)
        .not_valid_before(begin - VALID_BEFORE)
        .not_valid_after(begin + VALID_AFTER)
        .add_extension(_signed_key(identity, _subject_public_key_info(public_key)), critical=False)
        .sign(private_key, SHA256())
    )
    return OwnCertificate(private_key, certificate)


def verify_peer_certificate(der: bytes, now: float) -> PublicKey:
    """Return the identity key that the certificate proves; its peer ID is in the key's `peer_id`.

    Raise HandshakeError unless it is self-signed, valid at `now` (seconds since 1970), without critical extensions
    other than libp2p's, and signed by the identity that it names. That the peer holds the certificate's private key
    is for TLS to prove.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        _check_self_signed(certificate)
        value = _extension_value(certificate)
        subject_public_key_info = _subject_public_key_info(certificate.public_key())
    except _UNREADABLE as error:
        raise HandshakeError(f"a TLS certificate that is malformed or not self-signed: {error}") from None
    if not certificate.not_valid_before_utc <= datetime.fromtimestamp(now, UTC) <= certificate.not_valid_after_utc:
        raise HandshakeError("a TLS certificate that is not valid now")
    return _verify_signed_key(value, subject_public_key_info)


def _check_self_signed(certificate: x509.Certificate) -> None:
    """Raise one of `_UNREADABLE`."""
    digest = certificate.signature_hash_algorithm
    if digest is not None and digest.digest_size < MIN_DIGEST_BYTES:
        raise ValueError(f"it is signed over {digest.name}")
    certificate.verify_directly_issued_by(certificate)


def _extension_value(certificate: x509.Certificate) -> bytes:
    """Return the libp2p extension's value; raise ValueError if there is none, or one beside it that must be heeded."""
    value = None
    for extension in certificate.extensions:
        if extension.oid == EXTENSION_OID and isinstance(extension.value, x509.UnrecognizedExtension):
            value = extension.value.value
        elif extension.critical:
            raise ValueError(f"unknown critical extension {extension.oid.dotted_string}")
    if value is None:
        raise ValueError("it has no libp2p extension")
    return value


def _subject_public_key_info(public_key: object) -> bytes:
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined, no-any-return]


def _signed_key(identity: PrivateKey, subject_public_key_info: bytes) -> x509.UnrecognizedExtension:
    fields = (identity.public_key.to_protobuf(), identity.sign(SIGNATURE_PREFIX + subject_public_key_info))
    value = _encode(_SEQUENCE, b"".join(_encode(_OCTET_STRING, field) for field in fields))
    return x509.UnrecognizedExtension(EXTENSION_OID, value)


def _verify_signed_key(value: bytes, subject_public_key_info: bytes) -> PublicKey:
    content, behind = _decode(_SEQUENCE, value)
    public_key, rest = _decode(_OCTET_STRING, content)
    signature, behind_signature = _decode(_OCTET_STRING, rest)
    if behind or behind_signature:
        raise HandshakeError("a libp2p extension with more in it than it should have")
    try:
        identity = PublicKey.from_protobuf(public_key)
    except InvalidKey as error:
        raise HandshakeError(f"a libp2p extension with {error}") from None
    if not identity.verify(signature, SIGNATURE_PREFIX + subject_public_key_info):
        raise HandshakeError("a libp2p extension whose signature is not the identity key's")
    return identity


def _encode(tag: int, content: bytes) -> bytes:
    """One DER value (X.690 §10.1: the length in its shortest form)."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _decode(tag: int, data: bytes) -> tuple[bytes, bytes]:
    """Split off one DER value: its content, and the bytes behind it."""
    begin, length = 2, data[1] if len(data) >= 2 else 0
    if length >= 0x80:
        begin += length & 0x7F
        length = int.from_bytes(data[2:begin], "big")
    content = data[begin : begin + length]
    if _encode(tag, content) != data[: begin + length]:
        raise HandshakeError("a libp2p extension that is not DER")
    return content, data[begin + length :]
