"""multistream-select messages: published bytes, pieces, bounds and garbage."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import NegotiationError
from nodetrust.libp2p.multistream.wire import MAX_MESSAGE_BYTES, encode_message, take_message

PUBLISHED = {
    "/multistream/1.0.0": "132f6d756c746973747265616d2f312e302e300a",
    "/noise": "072f6e6f6973650a",
    "/tls/1.0.0": "0b2f746c732f312e302e300a",
    "/yamux/1.0.0": "0d2f79616d75782f312e302e300a",
    "/ipfs/id/1.0.0": "0f2f697066732f69642f312e302e300a",
    "na": "036e610a",
    "ls": "036c730a",
}

texts = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1, max_size=255)


class MessageTests(SynchronousTestCase):
    def test_published_bytes(self):
        """Each message that other implementations write has exactly their bytes, and is read back."""
        for text, encoded in PUBLISHED.items():
            self.assertEqual(encode_message(text).hex(), encoded)
            self.assertEqual(take_message(bytearray.fromhex(encoded)), text)

    @given(texts, st.binary())
    def test_round_trip(self, text, behind):
        """A message is taken off the front, and what stands behind it stays."""
        buffer = bytearray(encode_message(text) + behind)
        self.assertEqual(take_message(buffer), text)
        self.assertEqual(bytes(buffer), behind)

    def test_waits_for_the_last_byte(self):
        """Every proper beginning of a message, with a length prefix of two bytes too, is no message yet."""
        message = encode_message("x" * 500)
        for end in range(len(message)):
            self.assertIsNone(take_message(bytearray(message[:end])))

    def test_longest_message(self):
        """1024 bytes with the newline are the longest that is written or read."""
        longest = "x" * (MAX_MESSAGE_BYTES - 1)
        self.assertEqual(take_message(bytearray(encode_message(longest))), longest)
        self.assertRaises(ValueError, encode_message, longest + "x")
        self.assertRaises(NegotiationError, take_message, bytearray(b"\x81\x08"))

    def test_malformed(self):
        """An empty message, one without newline, and one that is not UTF-8 are refused."""
        for data in (b"\x00", b"\x02ab", b"\x02\xff\n", b"\x81\x00", b"\xff" * 9):
            with self.assertRaises(NegotiationError):
                take_message(bytearray(data))

    def test_refuses_to_write_what_nobody_reads(self):
        """A protocol ID that is empty or holds a newline is our own mistake."""
        for text in ("", "a\nb"):
            self.assertRaises(ValueError, encode_message, text)

    @given(st.binary(max_size=2000))
    def test_garbage(self, data):
        """Whatever arrives is a message, the beginning of one, or a NegotiationError."""
        buffer = bytearray(data)
        with contextlib.suppress(NegotiationError):
            while take_message(buffer) is not None:
                pass
