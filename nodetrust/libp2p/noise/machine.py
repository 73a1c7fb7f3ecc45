"""The Noise XX handshake, and libp2p's identity exchange inside it: pure, with the keys as arguments.

`HandshakeState` is the Noise specification, revision 34, section 5, and uses its names; `Handshake` is libp2p/specs
`noise/README.md`.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from nodetrust.libp2p.errors import HandshakeError, InvalidData
from nodetrust.libp2p.keys import PrivateKey, PublicKey
from nodetrust.libp2p.noise.cipher import TAG_BYTES, CipherState
from nodetrust.libp2p.noise.wire import Payload, check_payload, encode_frame, sign_payload, take_handshake_frame
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.security import agree_on_muxer, check_peer

PROTOCOL_NAME = b"Noise_XX_25519_ChaChaPoly_SHA256"
"""32 bytes, so it is the first handshake hash as it stands."""

MESSAGES = (("e",), ("e", "ee", "s", "es"), ("s", "se"))
"""The tokens of XX; the initiator writes the first message."""

KEY_BYTES = 32


class HandshakeState:
    """Noise XX with an empty prologue, for one side; libp2p's payloads are just bytes here.

    `write_message` and `read_message` are called in turn, three in all; then `split`. They raise HandshakeError.
    """

    def __init__(self, initiator: bool, static: X25519PrivateKey, ephemeral: X25519PrivateKey) -> None:
        self._initiator = initiator
        self._static = static
        self._ephemeral = ephemeral
        self._remote_ephemeral: X25519PublicKey
        self._remote_static: X25519PublicKey
        self._messages = list(MESSAGES)
        self._chaining_key = PROTOCOL_NAME
        self._cipher: CipherState | None = None
        self.handshake_hash = sha256(PROTOCOL_NAME).digest()

    @property
    def finished(self) -> bool:
        """Whether all three messages have been written or read."""
        return not self._messages

    @property
    def remote_static(self) -> bytes:
        """The other side's static public key, once its message with `s` was read."""
        return self._remote_static.public_bytes_raw()

    def write_message(self, payload: bytes) -> bytes:
        message = b""
        for step in self._messages.pop(0):
            if step == "e":
                public = self._ephemeral.public_key().public_bytes_raw()
                self._mix_hash(public)
                message += public
            elif step == "s":
                message += self._encrypt_and_hash(self._static.public_key().public_bytes_raw())
            else:
                self._mix_key(self._shared_secret(step))
        return message + self._encrypt_and_hash(payload)

    def read_message(self, message: bytes) -> bytes:
        """Return the payload."""
        for step in self._messages.pop(0):
            if step == "e":
                public, message = _cut(message, KEY_BYTES)
                self._mix_hash(public)
                self._remote_ephemeral = X25519PublicKey.from_public_bytes(public)
            elif step == "s":
                encrypted, message = _cut(message, KEY_BYTES + TAG_BYTES)
                self._remote_static = X25519PublicKey.from_public_bytes(self._decrypt_and_hash(encrypted))
            else:
                self._mix_key(self._shared_secret(step))
        return self._decrypt_and_hash(message)

    def split(self) -> tuple[CipherState, CipherState]:
        """The cipher states for what this side sends, and for what it receives."""
        from_initiator, from_responder = (CipherState(key) for key in _derive(self._chaining_key, b""))
        return (from_initiator, from_responder) if self._initiator else (from_responder, from_initiator)

    def _shared_secret(self, step: str) -> bytes:
        """The first letter of `ee`, `es` and `se` is the initiator's key, the second the responder's."""
        ours, theirs = (step[0], step[1]) if self._initiator else (step[1], step[0])
        private = self._ephemeral if ours == "e" else self._static
        try:
            return private.exchange(self._remote_ephemeral if theirs == "e" else self._remote_static)
        except ValueError:
            raise HandshakeError("a Noise key of low order, with which nothing is secret") from None

    def _mix_hash(self, data: bytes) -> None:
        self.handshake_hash = sha256(self.handshake_hash + data).digest()

    def _mix_key(self, shared_secret: bytes) -> None:
        self._chaining_key, key = _derive(self._chaining_key, shared_secret)
        self._cipher = CipherState(key)

    def _encrypt_and_hash(self, plaintext: bytes) -> bytes:
        if self._cipher is not None:
            plaintext = self._cipher.encrypt(plaintext, self.handshake_hash)
        self._mix_hash(plaintext)
        return plaintext

    def _decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        plaintext = ciphertext
        if self._cipher is not None:
            try:
                plaintext = self._cipher.decrypt(ciphertext, self.handshake_hash)
            except InvalidData as error:
                raise HandshakeError(str(error)) from None
        self._mix_hash(ciphertext)
        return plaintext


def _cut(message: bytes, size: int) -> tuple[bytes, bytes]:
    if len(message) < size:
        raise HandshakeError("a Noise handshake message that is cut short")
    return message[:size], message[size:]


def _derive(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
    """HKDF with two outputs (section 4.3)."""
    secret = hmac.digest(chaining_key, material, "sha256")
    first = hmac.digest(secret, b"\x01", "sha256")
    return first, hmac.digest(secret, first + b"\x02", "sha256")


class Credentials:
    """Who we are in every handshake of one host: its static Noise key, signed once with the identity key."""

    def __init__(self, identity: PrivateKey, static: X25519PrivateKey, muxers: tuple[str, ...]) -> None:
        self.static = static
        self.muxers = muxers
        self.payload = sign_payload(identity, static.public_key().public_bytes_raw(), muxers)


@dataclass(frozen=True, slots=True)
class HandshakeFinished:
    """The other side has proven who it is. `unread` is what it sent behind the handshake."""

    remote_key: PublicKey
    muxer: str | None
    send: CipherState
    receive: CipherState
    unread: bytes


class Handshake:
    """libp2p's use of Noise XX, for one side: frames around the messages, identities inside the second and third.

    The initiator's first message waits in the outgoing buffer from the beginning. `receive_data` raises HandshakeError
    for whatever is wrong, before anything more is sent: an initiator that meets another peer than `expected` does not
    tell it who we are. `outcome` is None until the handshake is over.
    """

    def __init__(
        self, initiator: bool, credentials: Credentials, ephemeral: X25519PrivateKey, expected: PeerId | None = None
    ) -> None:
        self._initiator = initiator
        self._credentials = credentials
        self._expected = expected
        self._noise = HandshakeState(initiator, credentials.static, ephemeral)
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._read_first = initiator
        self.outcome: HandshakeFinished | None = None
        if initiator:
            self._write(b"")

    @property
    def handshake_hash(self) -> bytes:
        """Of all that was written and read so far; both sides have the same."""
        return self._noise.handshake_hash

    def data_to_send(self) -> bytes:
        """Take what is to be written now; empty when there is nothing."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def receive_data(self, data: bytes) -> None:
        self._incoming += data
        while self.outcome is None and (message := take_handshake_frame(self._incoming)) is not None:
            payload = self._noise.read_message(message)
            if self._read_first:
                self._identified(payload)
            else:
                # Message 1 is not encrypted; what it may carry is for nobody.
                self._read_first = True
                self._write(self._credentials.payload)

    def _identified(self, payload: bytes) -> None:
        remote = check_payload(payload, self._noise.remote_static)
        check_peer(remote.identity_key.peer_id, self._expected)
        muxer = self._agree(remote)
        if not self._noise.finished:
            self._write(self._credentials.payload)
        send, receive = self._noise.split()
        self.outcome = HandshakeFinished(remote.identity_key, muxer, send, receive, bytes(self._incoming))

    def _agree(self, remote: Payload) -> str | None:
        ours, theirs = self._credentials.muxers, remote.muxers
        return agree_on_muxer(ours, theirs) if self._initiator else agree_on_muxer(theirs, ours)

    def _write(self, payload: bytes) -> None:
        self._outgoing += encode_frame(self._noise.write_message(payload))
