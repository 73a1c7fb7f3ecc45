"""Noise after the handshake: the cipher states, and frames of ciphertext to and from plaintext.

Source: the Noise specification, revision 34, sections 5.1 and 12.3 (ChaChaPoly); libp2p/specs `noise/README.md`.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from nodetrust.libp2p.errors import InvalidData
from nodetrust.libp2p.noise.wire import MAX_MESSAGE_BYTES, PREFIX_BYTES

TAG_BYTES = 16
MAX_PLAINTEXT_BYTES = MAX_MESSAGE_BYTES - TAG_BYTES

MAX_NONCE = 2**64 - 2
"""The last counter that may be used; Noise reserves the one behind it (section 5.1)."""


class CipherState:
    """One direction's key and its counter: each counter serves once, and after `MAX_NONCE` the key refuses."""

    __slots__ = ("_cipher", "nonce")

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)
        self.nonce = 0

    def encrypt(self, plaintext: bytes | memoryview, associated: bytes | None = None) -> bytes:
        """Return the ciphertext with its tag behind it."""
        return self._cipher.encrypt(self._next_nonce(), plaintext, associated)

    def decrypt(self, ciphertext: bytes | memoryview, associated: bytes | None = None) -> bytes:
        """Raise InvalidData for anything but what the owner of the same key wrote as its next message."""
        try:
            return self._cipher.decrypt(self._next_nonce(), ciphertext, associated)
        except InvalidTag:
            raise InvalidData("a Noise message that was damaged or forged") from None

    def _next_nonce(self) -> bytes:
        counter = self.nonce
        if counter > MAX_NONCE:
            raise InvalidData("a Noise key that has served for all the messages it may")
        self.nonce = counter + 1
        return b"\0\0\0\0" + counter.to_bytes(8, "little")


def encrypt_frames(cipher: CipherState, data: bytes) -> list[bytes]:
    """Cut `data` into messages as long as may be: lengths and ciphertexts in turn, to be written in this order."""
    if len(data) <= MAX_PLAINTEXT_BYTES:
        ciphertext = cipher.encrypt(data)
        return [len(ciphertext).to_bytes(PREFIX_BYTES, "big"), ciphertext]
    pieces = []
    view = memoryview(data)
    for start in range(0, len(data), MAX_PLAINTEXT_BYTES):
        ciphertext = cipher.encrypt(view[start : start + MAX_PLAINTEXT_BYTES])
        pieces += [len(ciphertext).to_bytes(PREFIX_BYTES, "big"), ciphertext]
    return pieces


class FrameDecoder:
    """Turns what arrives into plaintext. Keeps at most one unfinished frame, and copies the bytes of no other."""

    def __init__(self, cipher: CipherState) -> None:
        self._cipher = cipher
        self._unfinished = bytearray()

    def receive_data(self, data: bytes) -> bytes:
        """The plaintext of all frames that `data` completes. Raise InvalidData for a frame that is not genuine."""
        view = memoryview(data)
        plaintexts: list[bytes] = []
        begin = self._finish(view, plaintexts) if self._unfinished else 0
        while len(data) - begin >= PREFIX_BYTES:
            end = begin + PREFIX_BYTES + (data[begin] << 8 | data[begin + 1])
            if end > len(data):
                break
            plaintexts.append(self._cipher.decrypt(view[begin + PREFIX_BYTES : end]))
            begin = end
        self._unfinished += view[begin:]
        return b"".join(plaintexts)

    def _finish(self, view: memoryview, plaintexts: list[bytes]) -> int:
        """Add to the unfinished frame what it lacks, as far as it is there; return how many bytes of `view` it took."""
        frame = self._unfinished
        taken = max(0, PREFIX_BYTES - len(frame))
        frame += view[:taken]
        if len(frame) < PREFIX_BYTES:
            return taken
        missing = PREFIX_BYTES + (frame[0] << 8 | frame[1]) - len(frame)
        frame += view[taken : taken + missing]
        if len(view) - taken < missing:
            return len(view)
        plaintexts.append(self._cipher.decrypt(memoryview(frame)[PREFIX_BYTES:]))
        self._unfinished = bytearray()
        return taken + missing
