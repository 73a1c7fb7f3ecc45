"""Headers ⇄ values: the published vector, both ways of writing, everything that is none."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.keys import KeyType, PrivateKey
from nodetrust.peer_auth import InvalidHeader
from nodetrust.peer_auth.wire import (
    MAX_HEADER_CHARACTERS,
    Parameters,
    from_base64,
    of_our_scheme,
    read_header,
    signed_by_server,
    to_base64,
)
from tests.peer_auth.vectors import ANSWER, CHALLENGE, CLIENT, CLIENT_CHALLENGE, HELLO, HOST, OPAQUE, SERVER, SERVER_KEY


class WireTests(SynchronousTestCase):
    def test_what_is_signed(self) -> None:
        """The specification's signing example, to the byte."""
        data = signed_by_server(CLIENT_CHALLENGE, CLIENT.public_key, HOST)
        self.assertEqual(
            data.hex(),
            "6c69627032702d5065657249443d6368616c6c656e67652d7365727665723d455245524552455245524552455245524552455245524552"
            "455245524552455245524552455245524552453d36636c69656e742d7075626c69632d6b65793d080112208139770ea87d175f56a35466"
            "c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b39414686f73746e616d653d6578616d706c652e636f6d",
        )
        self.assertEqual(
            to_base64(SERVER.sign(data)),
            "UA88qZbLUzmAxrD9KECbDCgSKAUBAvBHrOCF2X0uPLR1uUCF7qGfLPc7dw3Olo-LaFCDpk5sXN7TkLWPVvuXAA==",
        )

    def test_headers_are_written_as_others_write_them(self) -> None:
        """The order and the separators that nim-libp2p needs."""
        self.assertEqual(read_header(HELLO).to_header(), HELLO)
        self.assertEqual(read_header(CHALLENGE).to_header(), CHALLENGE)
        self.assertEqual(
            read_header('libp2p-PeerID bearer="x", sig="AAAA"').to_header(), 'libp2p-PeerID sig="AAAA", bearer="x"'
        )

    def test_separators(self) -> None:
        """Commas and spaces part parameters; a value may stand without quotes, the scheme in any case."""
        for header in (
            'libp2p-PeerID  opaque="a"   bearer="b"',
            "LIBP2P-peerid opaque=a,bearer=b",
            '  libp2p-PeerID ,opaque="a" ,\tbearer = "b", ',
            'libp2p-PeerID Opaque="a", other="c", bearer="b"',
        ):
            self.assertEqual(read_header(header), Parameters(opaque="a", bearer="b"), header)

    def test_padding(self) -> None:
        """base64url with padding or without."""
        for text in ("AQ", "AQ==", "AQ="):
            self.assertEqual(from_base64(text), b"\1")
        for text in ("A", "A Q=", "AQ===", "+/==", "AQ=A", "é"):
            self.assertRaises(InvalidHeader, from_base64, text)

    def test_one_of_several_schemes(self) -> None:
        """A server may offer others beside ours."""
        self.assertEqual(of_our_scheme(['Basic realm="x"', CHALLENGE]), CHALLENGE)
        self.assertIsNone(of_our_scheme(["Basic", "libp2p-PeerIDs x=y"]))

    def test_refused(self) -> None:
        """What is not this scheme's header is none."""
        for header in (
            "",
            "Bearer abc",
            "libp2p-PeerID-x bearer=a",
            "libp2p-PeerID bearer",
            'libp2p-PeerID bearer="a',
            'libp2p-PeerID bearer="a"b',
            'libp2p-PeerID bearer="a"opaque="b"',
            'libp2p-PeerID bearer="a", bearer="b"',
            'libp2p-PeerID bearer="a", Bearer="b"',
            'libp2p-PeerID bearer="é"',
            'libp2p-PeerID ="a"',
            'libp2p-PeerID sig="?"',
            'libp2p-PeerID public-key="AAAA"',
            f'libp2p-PeerID public-key="{SERVER_KEY[:-4]}"',
            'libp2p-PeerID challenge-client="short"',
            f'libp2p-PeerID challenge-server="{"x" * 31}"',
            f'libp2p-PeerID bearer="{"x" * MAX_HEADER_CHARACTERS}"',
        ):
            self.assertRaises(InvalidHeader, read_header, header)

    def test_truncated(self) -> None:
        """No header that was cut short is taken for the whole one."""
        for length in range(len(ANSWER)):
            try:
                said = read_header(ANSWER[:length])
            except InvalidHeader:
                continue
            self.assertNotEqual(said, read_header(ANSWER))

    @given(
        st.one_of(
            st.text(), st.text().map("libp2p-PeerID ".__add__), st.text('abco=-"\\, \t').map("libp2p-PeerID ".__add__)
        )
    )
    def test_garbage(self, text: str) -> None:
        """Any text is a header or `InvalidHeader`."""
        try:
            said = read_header(text)
        except InvalidHeader:
            return
        self.assertEqual(read_header(said.to_header()), said)

    @given(
        st.none() | st.text("ABCabc019-_=", min_size=32, max_size=64),
        st.none() | st.binary(max_size=512),
        st.none() | st.text("ABCabc019-_=", max_size=400),
        st.none() | st.sampled_from([PrivateKey.generate(kind).public_key for kind in KeyType]),
    )
    def test_round_trip(self, challenge: str | None, sig: bytes | None, opaque: str | None, key: object) -> None:
        """What is written is read again."""
        said = Parameters(challenge_client=challenge, public_key=key, sig=sig, opaque=opaque)  # type: ignore[arg-type]
        self.assertEqual(read_header(said.to_header()), said)

    def test_opaque_is_literal(self) -> None:
        """An opaque is not decoded."""
        self.assertEqual(read_header(ANSWER).opaque, OPAQUE)
