"""Varints: the published examples, the bounds, the shortest form."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p import varint
from nodetrust.libp2p.errors import InvalidVarint

# multiformats/unsigned-varint, README
PUBLISHED = {1: "01", 127: "7f", 128: "8001", 255: "ff01", 300: "ac02", 16384: "808001", (1 << 63) - 1: "ff" * 8 + "7f"}


class VarintTests(SynchronousTestCase):
    def test_published(self) -> None:
        """The specification's examples are written and read."""
        for value, encoded in PUBLISHED.items():
            self.assertEqual(varint.encode(value).hex(), encoded)
            self.assertEqual(varint.decode(bytes.fromhex(encoded)), (value, len(encoded) // 2))

    @given(st.integers(0, varint.MAX_VALUE), st.binary(max_size=3), st.binary(max_size=3))
    def test_round_trip(self, value: int, before: bytes, behind: bytes) -> None:
        """A value comes back from between other bytes, and every cut in it is incomplete."""
        encoded = varint.encode(value)
        end = len(before + encoded)
        self.assertEqual(varint.decode(before + encoded + behind, len(before)), (value, end))
        for cut in range(len(before), end):
            self.assertIsNone(varint.decode((before + encoded)[:cut], len(before)))

    def test_not_shortest(self) -> None:
        """A number has one form: padding with a zero group is refused."""
        for encoded in ("8000", "ff00", "808000"):
            self.assertRaises(InvalidVarint, varint.decode, bytes.fromhex(encoded))

    def test_too_long(self) -> None:
        """The ninth byte without an end is enough to refuse."""
        self.assertIsNone(varint.decode(b"\x80" * 8))
        self.assertRaises(InvalidVarint, varint.decode, b"\x80" * 9)
        self.assertRaises(InvalidVarint, varint.decode, b"\xff" * 9 + b"\x01")

    def test_out_of_range(self) -> None:
        """What nine bytes can not hold is not written."""
        for value in (-1, 1 << 63):
            self.assertRaises(InvalidVarint, varint.encode, value)
