"""Positional codecs: published examples, the base58 package as an oracle in spirit, zeros, strangers."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.basex import BASE36, BASE36_LETTERS_FIRST, BASE58BTC, MAX_BYTES, BaseX
from nodetrust.libp2p.errors import InvalidBase

# draft-msporny-base58 and multiformats/multibase test vectors ("yes mani !", with leading zeros, and a sentence)
PUBLISHED = (
    (BASE58BTC, b"Hello World!", "2NEpo7TZRRrLZSi2U"),
    (
        BASE58BTC,
        b"The quick brown fox jumps over the lazy dog.",
        "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z",
    ),
    (BASE58BTC, bytes.fromhex("0000287fb4cd"), "11233QC4"),
    (BASE58BTC, b"yes mani !", "7paNL19xttacUY"),
    (BASE58BTC, b"\0\0yes mani !", "117paNL19xttacUY"),
    (BASE36, b"yes mani !", "2lcpzo5yikidynfl"),
    (BASE36, b"\0yes mani !", "02lcpzo5yikidynfl"),
)

CODECS = (BASE58BTC, BASE36, BASE36_LETTERS_FIRST, BaseX("base2", "01"), BaseX("base10", "0123456789"))


class BaseXTests(SynchronousTestCase):
    def test_published(self) -> None:
        """The published pairs hold both ways."""
        for codec, data, text in PUBLISHED:
            self.assertEqual(codec.encode(data), text)
            self.assertEqual(codec.decode(text), data)

    @given(st.binary(max_size=MAX_BYTES), st.sampled_from(CODECS))
    def test_round_trip(self, data: bytes, codec: BaseX) -> None:
        """Bytes come back exactly, leading zeros included."""
        self.assertEqual(codec.decode(codec.encode(data)), data)

    def test_zeros(self) -> None:
        """Each zero byte in front is one zero digit; nothing is nothing."""
        for codec in CODECS:
            self.assertEqual(codec.encode(b"\0\0\x01"), codec.alphabet[0] * 2 + codec.alphabet[1])
            self.assertEqual(codec.encode(b""), "")
            self.assertEqual(codec.decode(""), b"")

    def test_strangers(self) -> None:
        """A character outside the alphabet is refused wherever it stands, also one that int() would take."""
        for codec in CODECS:
            good = codec.alphabet[1]
            for stranger in ("_", " ", "-", "+", "\0", "é", "٣", "!"):
                for text in (stranger + good, good + stranger + good, good + stranger, stranger):
                    self.assertRaises(InvalidBase, codec.decode, text)

    def test_too_long(self) -> None:
        """Neither more bytes nor text for more bytes than the limit is converted."""
        self.assertRaises(InvalidBase, BASE58BTC.encode, bytes(MAX_BYTES + 1))
        self.assertRaises(InvalidBase, BASE58BTC.decode, "1" * (MAX_BYTES + 1))
        self.assertRaises(InvalidBase, BASE58BTC.decode, "z" * 100_000)
