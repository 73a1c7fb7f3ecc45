"""Identity keys (libp2p/specs peer-ids): Ed25519, RSA, secp256k1 and ECDSA over P-256.

On the wire a key is a protobuf of two fields, whose encoding has only one allowed form: ``08 type 12 length data``.
It is read by hand here: a handshake does it for each connection, and the peer ID is the hash of these very bytes.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from nodetrust.libp2p import varint
from nodetrust.libp2p.errors import InvalidKey, InvalidVarint
from nodetrust.libp2p.peer_id import PeerId

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096
"""Without an upper bound a peer makes us calculate for seconds (CVE-2023-39533). go-libp2p's is 8192, py-libp2p's this
one: nobody makes larger keys by default, and what is done before we know a peer should cost little."""

MAX_RSA_EXPONENT = (1 << 31) - 1
"""As Go's crypto/rsa: a larger public exponent only makes verifying slow."""

MAX_PUBLIC_DATA_BYTES = 600
"""A SubjectPublicKeyInfo of RSA with 4096 bits has 550 bytes."""

MAX_PRIVATE_DATA_BYTES = 2500
"""A PKCS#1 RSAPrivateKey of 4096 bits has about 2350 bytes."""

_ED25519_BYTES = 32
_SECP256K1_BYTES = 33
_SECP256K1_SECRET_BYTES = 32
_TYPE_TAG = 0x08
_DATA_TAG = 0x12
_SHA256 = hashes.SHA256()
_ECDSA_SHA256 = ec.ECDSA(_SHA256)
_PKCS1 = padding.PKCS1v15()

# The y coordinates, sign bit cleared, of the points whose order divides 8 (RFC 8032 with the non-canonical 0 and 1).
# Anybody can write a signature that verifies under such a key.
_SMALL_ORDER_ED25519 = frozenset(
    bytes.fromhex(y)
    for y in (
        "00" * 32,
        "01" + "00" * 31,
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
)

_AnyPublic: TypeAlias = ed25519.Ed25519PublicKey | rsa.RSAPublicKey | ec.EllipticCurvePublicKey
_AnyPrivate: TypeAlias = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class KeyType(enum.IntEnum):
    """The numbers of the key protobuf."""

    RSA = 0
    ED25519 = 1
    SECP256K1 = 2
    ECDSA = 3


_KEY_TYPES = tuple(KeyType)


class PublicKey:
    """A public key that was checked when it was made. Immutable; equal when type and bytes are.

    ``raw`` is the protobuf's Data: 32 bytes for Ed25519, a compressed point for secp256k1, else a DER
    SubjectPublicKeyInfo. Nothing but its one canonical encoding is taken, so that a key has one peer ID.

    :raise InvalidKey: the key does not parse, or has a size or curve that we do not take.
    """

    __slots__ = ("_key", "_peer_id", "raw", "type")

    def __init__(self, type: KeyType, raw: bytes) -> None:
        self.type = type
        self.raw = raw
        self._key = _load_public(type, raw)
        self._peer_id: PeerId | None = None

    @classmethod
    def from_protobuf(cls, data: bytes) -> PublicKey:
        """Read the protobuf of a key, as it came from a peer.

        :raise InvalidKey: see the class.
        """
        return cls(*_split(data, MAX_PUBLIC_DATA_BYTES))

    @classmethod
    def from_peer_id(cls, peer_id: PeerId) -> PublicKey | None:
        """The key inside the ID; None when the ID holds only a hash of it.

        :raise InvalidKey: the bytes inside are no point on their curve.
        """
        inline = peer_id.inline_key
        return None if inline is None else cls.from_protobuf(inline)

    def to_protobuf(self) -> bytes:
        """The bytes that :meth:`from_protobuf` reads, and whose multihash is the peer ID."""
        return _join(self.type, self.raw)

    @property
    def peer_id(self) -> PeerId:
        """The ID of the peer that holds this key."""
        if self._peer_id is None:
            self._peer_id = PeerId.from_key_protobuf(self.to_protobuf())
        return self._peer_id

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether *signature* was made over *data* with this key. Any bytes may be given; nothing is raised."""
        key = self._key
        try:
            if isinstance(key, ed25519.Ed25519PublicKey):
                key.verify(signature, data)
            elif isinstance(key, rsa.RSAPublicKey):
                key.verify(signature, data, _PKCS1, _SHA256)
            else:
                key.verify(signature, data, _ECDSA_SHA256)
        except (InvalidSignature, ValueError):
            return False
        return True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PublicKey):
            return NotImplemented
        return self.raw == other.raw and self.type == other.type

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"<PublicKey {self.type.name} {self.peer_id}>"


class PrivateKey:
    """An identity: what signs for a peer. Its ``repr`` shows the peer ID, never the secret."""

    __slots__ = ("_key", "public_key", "type")

    def __init__(self, type: KeyType, key: _AnyPrivate) -> None:
        """Use :meth:`generate`, :meth:`from_seed` or :meth:`from_protobuf`."""
        self.type = type
        self._key = key
        self.public_key = PublicKey(type, _public_data(type, key.public_key()))

    @classmethod
    def generate(cls, type: KeyType = KeyType.ED25519, rsa_bits: int = MIN_RSA_BITS) -> PrivateKey:
        """A new key from the operating system's randomness; *rsa_bits* counts for RSA only."""
        if type is KeyType.ED25519:
            return cls(type, ed25519.Ed25519PrivateKey.generate())
        if type is KeyType.RSA:
            return cls(type, rsa.generate_private_key(65537, rsa_bits))
        return cls(type, ec.generate_private_key(_curve(type)))

    @classmethod
    def from_seed(cls, seed: bytes) -> PrivateKey:
        """The Ed25519 key of a seed of 32 bytes.

        :raise InvalidKey: the seed has another length.
        """
        if len(seed) != _ED25519_BYTES:
            raise InvalidKey(f"an Ed25519 seed has {_ED25519_BYTES} bytes, not {len(seed)}")
        return cls(KeyType.ED25519, ed25519.Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_protobuf(cls, data: bytes) -> PrivateKey:
        """Read the protobuf of a private key, as in key files.

        :raise InvalidKey: it does not parse, is inconsistent, or has a size or curve that we do not take.
        """
        type, raw = _split(data, MAX_PRIVATE_DATA_BYTES)
        if type is KeyType.ED25519:
            return cls._from_ed25519_data(raw)
        if type is KeyType.SECP256K1:
            return cls(type, _secp256k1_from_secret(raw))
        return cls(type, _private_from_der(type, raw))

    @classmethod
    def _from_ed25519_data(cls, raw: bytes) -> PrivateKey:
        seed, publics = raw[:_ED25519_BYTES], raw[_ED25519_BYTES:]
        key = cls.from_seed(seed)
        # Once the seed and the public key; old files have the public key twice.
        if publics not in (key.public_key.raw, key.public_key.raw * 2):
            raise InvalidKey("an Ed25519 private key whose public half does not belong to it")
        return key

    def to_protobuf(self) -> bytes:
        """The secret, in the form that go-libp2p and js-libp2p keep it in as well."""
        return _join(self.type, _private_data(self.type, self._key, self.public_key.raw))

    @property
    def peer_id(self) -> PeerId:
        """The ID of the peer that this key makes us."""
        return self.public_key.peer_id

    def sign(self, data: bytes) -> bytes:
        """A signature over *data*: 64 bytes for Ed25519, PKCS#1 v1.5 for RSA, DER for the two ECDSA types."""
        key = self._key
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(data)
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(data, _PKCS1, _SHA256)
        return key.sign(data, _ECDSA_SHA256)

    def __repr__(self) -> str:
        return f"<PrivateKey {self.type.name} of {self.peer_id}>"


def _join(type: KeyType, raw: bytes) -> bytes:
    return bytes((_TYPE_TAG, type, _DATA_TAG)) + varint.encode(len(raw)) + raw


def _split(data: bytes, max_data_bytes: int) -> tuple[KeyType, bytes]:
    """Read ``08 type 12 length data``, nothing before, between or behind it."""
    if len(data) < 4 or data[0] != _TYPE_TAG or data[2] != _DATA_TAG:
        raise InvalidKey("a key's protobuf that is not in its canonical form")
    if data[1] >= len(_KEY_TYPES):
        raise InvalidKey(f"a key of the unknown type {data[1]}")
    try:
        header = varint.decode(data, 3)
    except InvalidVarint as error:
        raise InvalidKey(f"a key's protobuf with {error}") from None
    if header is None or len(data) != header[0] + header[1]:
        raise InvalidKey("a key's protobuf that is cut short, or has more behind it")
    if header[0] > max_data_bytes:
        raise InvalidKey(f"a key of {header[0]} bytes, allowed are {max_data_bytes}")
    return _KEY_TYPES[data[1]], bytes(data[header[1] :])


def _load_public(type: KeyType, raw: bytes) -> _AnyPublic:
    if type is KeyType.ED25519:
        return _load_ed25519(raw)
    try:
        if type is KeyType.SECP256K1:
            if len(raw) != _SECP256K1_BYTES:
                raise InvalidKey(f"a secp256k1 key has {_SECP256K1_BYTES} bytes, not {len(raw)}")
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256K1(), raw)
        key = serialization.load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidKey(f"a public key of type {type.name} that does not parse") from None
    checked: _AnyPublic
    if type is KeyType.RSA and isinstance(key, rsa.RSAPublicKey):
        _check_rsa(key)
        checked = key
    elif type is KeyType.ECDSA and isinstance(key, ec.EllipticCurvePublicKey) and _on_p256(key):
        checked = key
    else:
        raise InvalidKey(f"a key that says {type.name} and holds another kind")
    if _public_data(type, checked) != raw:
        raise InvalidKey(f"a public key of type {type.name} that is not in its canonical form")
    return checked


def _load_ed25519(raw: bytes) -> ed25519.Ed25519PublicKey:
    if len(raw) != _ED25519_BYTES:
        raise InvalidKey(f"an Ed25519 key has {_ED25519_BYTES} bytes, not {len(raw)}")
    if raw[:31] + bytes((raw[31] & 0x7F,)) in _SMALL_ORDER_ED25519:
        raise InvalidKey("an Ed25519 key of small order")
    return ed25519.Ed25519PublicKey.from_public_bytes(raw)


def _check_rsa(key: rsa.RSAPublicKey) -> None:
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise InvalidKey(f"an RSA key of {key.key_size} bits, allowed are {MIN_RSA_BITS} to {MAX_RSA_BITS}")
    exponent = key.public_numbers().e
    if not 3 <= exponent <= MAX_RSA_EXPONENT:
        raise InvalidKey("an RSA key with a public exponent that nobody uses")


def _on_p256(key: ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) -> bool:
    return isinstance(key.curve, ec.SECP256R1)


def _public_data(type: KeyType, key: _AnyPublic) -> bytes:
    """The protobuf's Data of a public key."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key.public_bytes_raw()
    if type is KeyType.SECP256K1 and isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _private_data(type: KeyType, key: _AnyPrivate, public: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.private_bytes_raw() + public
    if type is KeyType.SECP256K1 and isinstance(key, ec.EllipticCurvePrivateKey):
        return key.private_numbers().private_value.to_bytes(_SECP256K1_SECRET_BYTES, "big")
    # PKCS#1 for RSA, SEC 1 for ECDSA.
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _curve(type: KeyType) -> ec.EllipticCurve:
    return ec.SECP256K1() if type is KeyType.SECP256K1 else ec.SECP256R1()


def _secp256k1_from_secret(raw: bytes) -> ec.EllipticCurvePrivateKey:
    if len(raw) != _SECP256K1_SECRET_BYTES:
        raise InvalidKey(f"a secp256k1 secret has {_SECP256K1_SECRET_BYTES} bytes, not {len(raw)}")
    try:
        return ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256K1())
    except ValueError:
        raise InvalidKey("a secp256k1 secret outside its curve") from None


def _private_from_der(type: KeyType, raw: bytes) -> _AnyPrivate:
    try:
        key = serialization.load_der_private_key(raw, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidKey(f"a private key of type {type.name} that does not parse") from None
    if type is KeyType.RSA and isinstance(key, rsa.RSAPrivateKey):
        return key
    if type is KeyType.ECDSA and isinstance(key, ec.EllipticCurvePrivateKey) and _on_p256(key):
        return key
    raise InvalidKey(f"a private key that says {type.name} and holds another kind")
