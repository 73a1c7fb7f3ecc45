"""What stands on the wire: frames of `uint16 big-endian length || message`, and the payload inside the handshake.

Source: libp2p/specs `noise/README.md`; the payload's fields are in `proto/libp2p/noise.proto`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from nodetrust.libp2p.errors import HandshakeError, InvalidKey
from nodetrust.libp2p.keys import PrivateKey, PublicKey
from nodetrust.libp2p.pb.noise_pb2 import NoiseExtensions, NoiseHandshakePayload

PREFIX_BYTES = 2
MAX_MESSAGE_BYTES = 65535
"""What a frame's length can say, and Noise's own limit (section 3)."""

MAX_HANDSHAKE_MESSAGE_BYTES = 8192
"""Ours: a key and a signature of RSA-4096 and a list of a hundred muxers fit; nobody sends a tenth of it."""

MAX_MUXERS = 100
"""A longer list counts as none, as in go-libp2p."""

SIGNATURE_PREFIX = b"noise-libp2p-static-key:"


@dataclass(frozen=True, slots=True)
class Payload:
    """What one side says about itself: its identity, proven for its static Noise key, and its muxers by preference."""

    identity_key: PublicKey
    muxers: tuple[str, ...]


def encode_frame(message: bytes) -> bytes:
    """`message` with its length in front; at most 65535 bytes of it."""
    return len(message).to_bytes(PREFIX_BYTES, "big") + message


def take_handshake_frame(buffer: bytearray) -> bytes | None:
    """Remove one message from the front of `buffer`; None while it is not all there.

    Raise HandshakeError for one that is longer than any handshake needs.
    """
    if len(buffer) < PREFIX_BYTES:
        return None
    end = PREFIX_BYTES + int.from_bytes(buffer[:PREFIX_BYTES], "big")
    if end > PREFIX_BYTES + MAX_HANDSHAKE_MESSAGE_BYTES:
        raise HandshakeError(f"a Noise handshake message of {end - PREFIX_BYTES} bytes")
    if len(buffer) < end:
        return None
    message = bytes(buffer[PREFIX_BYTES:end])
    del buffer[:end]
    return message


def sign_payload(identity: PrivateKey, static_public: bytes, muxers: Iterable[str]) -> bytes:
    """Encode our own payload for the static X25519 key of these 32 bytes."""
    return NoiseHandshakePayload(
        identity_key=identity.public_key.to_protobuf(),
        identity_sig=identity.sign(SIGNATURE_PREFIX + static_public),
        extensions=NoiseExtensions(stream_muxers=muxers),
    ).SerializeToString()


def check_payload(data: bytes, static_public: bytes) -> Payload:
    """Decode the other side's payload and check that its identity key vouches for the static key that it used.

    Raise HandshakeError if it does not, or if anything in it does not parse.
    """
    try:
        message = NoiseHandshakePayload.FromString(data)
        identity_key = PublicKey.from_protobuf(message.identity_key)
    except DecodeError:
        raise HandshakeError("a Noise payload that does not parse") from None
    except InvalidKey as error:
        raise HandshakeError(f"a Noise payload with {error}") from None
    if not identity_key.verify(message.identity_sig, SIGNATURE_PREFIX + static_public):
        raise HandshakeError("a Noise payload whose signature is not the identity key's")
    muxers = tuple(message.extensions.stream_muxers)
    return Payload(identity_key, muxers if len(muxers) <= MAX_MUXERS else ())
