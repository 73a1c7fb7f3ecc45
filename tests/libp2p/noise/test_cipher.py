"""Frames of ciphertext: sizes, pieces, and what is refused."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import InvalidData
from nodetrust.libp2p.noise.cipher import MAX_NONCE, MAX_PLAINTEXT_BYTES, CipherState, FrameDecoder, encrypt_frames

KEY = bytes(range(32))


class CipherStateTests(SynchronousTestCase):
    def test_nonce(self):
        """RFC 8439's AEAD with four zero bytes and the counter, little-endian, in the nonce."""
        sender, receiver = CipherState(KEY), CipherState(KEY)
        sender.nonce = receiver.nonce = 0x0102030405060708
        from_library = sender._cipher.encrypt(bytes.fromhex("000000000807060504030201"), b"data", None)
        self.assertEqual(sender.encrypt(b"data"), from_library)
        self.assertEqual(receiver.decrypt(from_library), b"data")

    def test_exhausted(self):
        """No counter is used twice: after the last one the key refuses, in both directions."""
        cipher = CipherState(KEY)
        cipher.nonce = MAX_NONCE
        cipher.encrypt(b"the last")
        self.assertRaises(InvalidData, cipher.encrypt, b"one more")
        self.assertRaises(InvalidData, cipher.decrypt, b"one more")


class FrameTests(SynchronousTestCase):
    def test_longest_frame(self):
        """65519 bytes are one frame of the greatest length; one byte more is a second frame."""
        self.assertEqual([len(piece) for piece in encrypt_frames(CipherState(KEY), bytes(65519))], [2, 65535])
        frames = encrypt_frames(CipherState(KEY), bytes(65520))
        self.assertEqual([len(piece) for piece in frames], [2, 65535, 2, 17])
        self.assertEqual(frames[0], b"\xff\xff")
        self.assertEqual(MAX_PLAINTEXT_BYTES, 65519)

    @given(st.lists(st.binary(max_size=200), max_size=8), st.lists(st.integers(0, 60), min_size=1), st.booleans())
    def test_pieces(self, messages, sizes, with_long):
        """The plaintext comes out the same whatever the pieces, empty ones and empty frames included."""
        if with_long:
            messages = [*messages, bytes(70_000)]
            sizes = [size * 1001 for size in sizes]
        sender, decoder = CipherState(KEY), FrameDecoder(CipherState(KEY))
        data = b"".join(b"".join(encrypt_frames(sender, message)) for message in messages)
        received, position = b"", 0
        for size in (*sizes, len(data)):
            received += decoder.receive_data(data[position : position + size])
            position += size
        self.assertEqual(received, b"".join(messages))

    def test_byte_by_byte(self):
        """A frame is delivered with its last byte, not before."""
        data = b"".join(encrypt_frames(CipherState(KEY), b"message"))
        decoder = FrameDecoder(CipherState(KEY))
        for index in range(len(data) - 1):
            self.assertEqual(decoder.receive_data(data[index : index + 1]), b"")
            self.assertEqual(decoder.receive_data(b""), b"")
        self.assertEqual(decoder.receive_data(data[-1:]), b"message")

    def test_replayed_swapped_or_cut(self):
        """A frame counts once, in its place and whole."""
        first, second = (
            b"".join(encrypt_frames(sender, text)) for sender in (CipherState(KEY),) for text in (b"1", b"2")
        )
        for data in (first + first, second, b"\x00\x00", b"\x00\x0f" + bytes(15), b"\x00\x10" + first[2:18] + b"\x00"):
            with self.assertRaises(InvalidData):
                FrameDecoder(CipherState(KEY)).receive_data(data)
