"""Peer IDs (libp2p/specs peer-ids): the multihash of a public key's protobuf.

Keys of up to 42 bytes (Ed25519, secp256k1) are inside the ID as they are; of longer ones it holds the SHA-256.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
from dataclasses import dataclass

from nodetrust.libp2p.basex import BASE36, BASE58BTC
from nodetrust.libp2p.errors import InvalidBase, InvalidPeerId

MAX_INLINE_KEY_BYTES = 42
"""Longest public-key protobuf that stands in the ID itself."""

MAX_TEXT_CHARACTERS = 128
"""Twice the longest form, the base32 CID of a secp256k1 key (67 characters)."""

_SHA256_PREFIX = b"\x12\x20"
_SHA256_ID_BYTES = 34
_INLINE_PREFIXES = {38: b"\x00\x24\x08\x01\x12\x20", 39: b"\x00\x25\x08\x02\x12\x21"}  # Ed25519, secp256k1: by length
_CID_PREFIX = b"\x01\x72"  # CID version 1, codec libp2p-key
_BASE32_PADDING = "=" * 8


@dataclass(frozen=True, slots=True, order=True)
class PeerId:
    """An immutable peer ID; compared, ordered and hashed by its bytes.

    :raise InvalidPeerId: *multihash* is neither a SHA-256 multihash nor one that holds an Ed25519 or secp256k1 key.
    """

    multihash: bytes

    def __post_init__(self) -> None:
        data = self.multihash
        if len(data) == _SHA256_ID_BYTES and data.startswith(_SHA256_PREFIX):
            return
        prefix = _INLINE_PREFIXES.get(len(data))
        if prefix is None or not data.startswith(prefix):
            raise InvalidPeerId(f"not the multihash of a public key: {data[:40].hex()}")

    def __eq__(self, other: object) -> bool:
        if other.__class__ is PeerId:
            return self.multihash == other.multihash
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.multihash)

    def __bytes__(self) -> bytes:
        return self.multihash

    def __str__(self) -> str:
        return _base58(self.multihash)

    def __repr__(self) -> str:
        return f"<PeerId {self}>"

    @classmethod
    def from_base58(cls, text: str) -> PeerId:
        """Read the usual form (``12D3KooW...``, ``16Uiu2HA...``, ``Qm...``).

        :raise InvalidPeerId: it is none.
        """
        if len(text) > MAX_TEXT_CHARACTERS:
            raise InvalidPeerId(f"too long for a peer ID: {len(text)} characters")
        try:
            return _of_base58(text)
        except InvalidBase as error:
            raise InvalidPeerId(f"not a peer ID: {error}") from None

    @classmethod
    def parse(cls, text: str) -> PeerId:
        """Read either form: base58, or a CID in base32 (``b...``), base36 (``k...``) or base58 (``z...``).

        :raise InvalidPeerId: it is neither.
        """
        if text.startswith(("1", "Qm")):
            return cls.from_base58(text)
        if len(text) > MAX_TEXT_CHARACTERS:
            raise InvalidPeerId(f"too long for a peer ID: {len(text)} characters")
        cid = _multibase_bytes(text)
        if not cid.startswith(_CID_PREFIX):
            raise InvalidPeerId(f"not the CID of a peer: {text!r}")
        return cls(cid[len(_CID_PREFIX) :])

    @classmethod
    def from_key_protobuf(cls, data: bytes) -> PeerId:
        """The ID of the peer that holds the key whose protobuf this is; see ``PublicKey.peer_id``."""
        if len(data) <= MAX_INLINE_KEY_BYTES:
            return cls(bytes((0, len(data))) + data)
        return cls(_SHA256_PREFIX + hashlib.sha256(data).digest())

    @property
    def inline_key(self) -> bytes | None:
        """The key's protobuf, where the ID is not only a hash of it; see ``PublicKey.from_peer_id``."""
        return None if self.multihash.startswith(_SHA256_PREFIX) else self.multihash[2:]

    def to_cid_base36(self) -> str:
        """The CID that fits a DNS label (``k51...``): 62 characters for Ed25519, 63 for secp256k1, 56 for a hash."""
        return "k" + BASE36.encode(_CID_PREFIX + self.multihash)


@functools.lru_cache(maxsize=4096)
def _base58(multihash: bytes) -> str:
    return BASE58BTC.encode(multihash)


@functools.lru_cache(maxsize=1024)
def _of_base58(text: str) -> PeerId:
    # Cached, because a server reads the same few IDs again and again, out of the addresses in its settings.
    return PeerId(BASE58BTC.decode(text))


def _multibase_bytes(text: str) -> bytes:
    """multiformats/multibase, as far as DNS labels and other implementations write peer IDs in it."""
    prefix, digits = text[:1], text[1:]
    try:
        if prefix in ("k", "K"):
            return BASE36.decode(digits.lower())
        if prefix in ("b", "B"):
            padding = _BASE32_PADDING[: -len(digits) % 8]
            return base64.b32decode(digits.upper() + padding)
        if prefix == "z":
            return BASE58BTC.decode(digits)
    except (InvalidBase, binascii.Error, ValueError):
        pass
    raise InvalidPeerId(f"not a peer ID: {text[:80]!r}")
