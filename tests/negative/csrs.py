"""PKCS#10 requests that nobody's library makes: their DER is put together here, and signed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SEQUENCE, SET, INTEGER, BITS, OCTETS, OID, UTF8, PRINTABLE, NULL = 0x30, 0x31, 2, 3, 4, 6, 12, 19, 5

COMMON_NAME = bytes.fromhex("550403")
SUBJECT_ALT_NAME = bytes.fromhex("551d11")
EXTENSION_REQUEST = bytes.fromhex("2a864886f70d01090e")
ECDSA_SHA256, RSA_SHA256, ED25519, ED448 = (
    bytes.fromhex(oid) for oid in ("2a8648ce3d040302", "2a864886f70d01010b", "2b6570", "2b6571")
)
RSA_KEY = bytes.fromhex("2a864886f70d010101")

DNS_NAME = 0x82


def der(tag: int, *parts: bytes) -> bytes:
    """One element."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def integer(value: int) -> bytes:
    """A number that is not negative."""
    return der(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def extension(oid: bytes, value: bytes) -> bytes:
    """One extension, not critical."""
    return der(SEQUENCE, der(OID, oid), der(OCTETS, value))


def alternative(*names: bytes, tag: int = DNS_NAME) -> bytes:
    """The extension with these names, whatever octets they have."""
    return extension(SUBJECT_ALT_NAME, der(SEQUENCE, *(der(tag, name) for name in names)))


def asking(*extensions: bytes) -> bytes:
    """The attribute in which a CSR asks for extensions."""
    return der(SEQUENCE, der(OID, EXTENSION_REQUEST), der(SET, der(SEQUENCE, *extensions)))


def common_name(text: bytes, tag: int = UTF8) -> bytes:
    """A subject with one CN."""
    return der(SEQUENCE, der(SET, der(SEQUENCE, der(OID, COMMON_NAME), der(tag, text))))


def rsa_key(modulus: int, exponent: int) -> bytes:
    """A SubjectPublicKeyInfo of RSA with any numbers."""
    numbers = der(SEQUENCE, integer(modulus), integer(exponent))
    return der(SEQUENCE, der(SEQUENCE, der(OID, RSA_KEY), der(NULL)), der(BITS, b"\0", numbers))


def spki(key: Any) -> bytes:
    """The SubjectPublicKeyInfo of a private key."""
    public: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public


def sign(key: Any, data: bytes) -> tuple[bytes, bytes]:
    """The algorithm's identifier, and the signature."""
    if isinstance(key, rsa.RSAPrivateKey):
        return der(SEQUENCE, der(OID, RSA_SHA256), der(NULL)), key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return der(SEQUENCE, der(OID, ECDSA_SHA256)), key.sign(data, ec.ECDSA(hashes.SHA256()))
    assert isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return der(SEQUENCE, der(OID, ED25519 if isinstance(key, ed25519.Ed25519PrivateKey) else ED448)), key.sign(data)


def make(
    key: Any,
    names: Sequence[bytes | str] = (),
    *,
    subject: bytes = b"\x30\x00",
    attributes: Sequence[bytes] | None = None,
    public: bytes | None = None,
    version: int = 0,
    change: Callable[[bytes], bytes] = lambda signature: signature,
) -> bytes:
    """A CSR for names; everything may be something else, and is signed all the same."""
    plain = [name.encode() if isinstance(name, str) else name for name in names]
    if attributes is None:
        attributes = [asking(alternative(*plain))]
    info = der(SEQUENCE, integer(version), subject, public or spki(key), der(0xA0, *attributes))
    algorithm, signature = sign(key, info)
    return der(SEQUENCE, info, algorithm, der(BITS, b"\0", change(signature)))
