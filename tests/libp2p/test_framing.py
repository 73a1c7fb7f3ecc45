"""Length-prefixed messages, in whatever pieces they arrive."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import InvalidVarint, MessageTooLong
from nodetrust.libp2p.framing import FrameDecoder, encode_frame
from tests import vectors

MAX_BYTES = 1000


class FrameDecoderTests(SynchronousTestCase):
    def test_published(self) -> None:
        """The frames that JavaScript made in 2018 hold their messages, and are what we write."""
        for vector in vectors.load("nodetrust-2018.json")["messages"].values():
            message, frame = bytes.fromhex(vector["message"]), bytes.fromhex(vector["frame"])
            self.assertEqual(FrameDecoder(MAX_BYTES * 10).receive_data(frame), [message])
            self.assertEqual(encode_frame(message), frame)

    @given(
        st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 40), min_size=1), st.binary(max_size=9)
    )
    def test_pieces(self, messages: list[bytes], sizes: list[int], rest: bytes) -> None:
        """The same messages come out whole and in order however the bytes are cut."""
        rest = encode_frame(b"x" * 500)[: len(rest)]
        stream = b"".join(map(encode_frame, messages)) + rest
        decoder = FrameDecoder(MAX_BYTES)
        received = []
        position = turn = 0
        while position < len(stream):
            size = sizes[turn % len(sizes)]
            received += decoder.receive_data(stream[position : position + size])
            position, turn = position + size, turn + 1
        self.assertEqual(received, messages)
        self.assertEqual(decoder.unfinished, bool(rest))

    def test_byte_by_byte(self) -> None:
        """A message is there with its last byte, not earlier."""
        decoder = FrameDecoder(MAX_BYTES)
        frame = encode_frame(b"m" * 200)
        for byte in frame[:-1]:
            self.assertEqual(decoder.receive_data(bytes((byte,))), [])
        self.assertEqual(decoder.receive_data(frame[-1:]), [b"m" * 200])
        self.assertFalse(decoder.unfinished)

    def test_too_long(self) -> None:
        """One byte over the limit is refused with its length, before any of its content; the limit itself is not."""
        self.assertEqual(FrameDecoder(5).receive_data(encode_frame(b"12345")), [b"12345"])
        error = self.assertRaises(MessageTooLong, FrameDecoder(5).receive_data, b"\x06")
        self.assertEqual((error.announced_bytes, error.max_bytes), (6, 5))
        self.assertRaises(MessageTooLong, FrameDecoder(5).receive_data, b"\xff" * 8 + b"\x7f")

    def test_bad_length(self) -> None:
        """A length that is no varint is refused."""
        self.assertRaises(InvalidVarint, FrameDecoder(5).receive_data, b"\x80\x00")
