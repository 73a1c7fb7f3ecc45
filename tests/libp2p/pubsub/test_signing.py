"""Signatures and message IDs against published bytes, and every way in which a message may be wrong."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.framing import encode_frame
from nodetrust.libp2p.keys import KeyType, PrivateKey
from nodetrust.libp2p.pubsub import signing
from nodetrust.libp2p.pubsub.errors import MessageInvalid
from nodetrust.libp2p.pubsub.ids import IdStyle, message_ids, style_of
from nodetrust.libp2p.pubsub.signing import author_of, check, sign
from nodetrust.libp2p.pubsub.wire import Message, Rpc, decode_rpc, encode_message, encode_rpc

AUTHOR = PrivateKey.from_seed(b"\x02" * 32)
MESSAGE = sign(AUTHOR, "test", b"hello", 1)
SIGNED_HEX = (
    "0a260024080112208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"
    "120568656c6c6f1a080000000000000001220474657374"
)
SIGNATURE_HEX = (
    "2e8e1d308465d05831cdb04b6939b560e51d98d3563a2c0e0451c9db429e5461"
    "a8908e81143b24aa7c825367da28ab75266a1d46d38756e7199980075946480d"
)


class SigningTests(SynchronousTestCase):
    def test_published_message(self) -> None:
        """The signed bytes, the signature and the frame are what other implementations make."""
        unsigned = replace(MESSAGE, signature=None)
        self.assertEqual(encode_message(unsigned).hex(), SIGNED_HEX)
        self.assertEqual((MESSAGE.signature or b"").hex(), SIGNATURE_HEX)
        frame = encode_frame(encode_rpc(Rpc(messages=(MESSAGE,))))
        self.assertEqual(frame.hex(), "84011281010a26" + SIGNED_HEX[4:] + "2a40" + SIGNATURE_HEX)
        check(decode_rpc(frame[2:]).messages[0])

    def test_every_key_type(self) -> None:
        """A message verifies with each type of key, and carries the key only where the ID is a hash."""
        for key_type in KeyType:
            key = PrivateKey.generate(key_type)
            message = sign(key, "t", b"", 2)
            check(message)
            hashed = key_type in (KeyType.RSA, KeyType.ECDSA)
            self.assertEqual(message.key, key.public_key.to_protobuf() if hashed else None)

    def test_key_may_be_shown_needlessly(self) -> None:
        """js-libp2p sends the key also where the ID holds it, and the signature does not cover it."""
        check(replace(MESSAGE, key=AUTHOR.public_key.to_protobuf()))

    def test_absent_and_empty_data_are_signed_differently(self) -> None:
        """A field that is present and empty is part of what is signed."""
        absent = replace(MESSAGE, data=None, signature=None)
        signed = replace(absent, signature=AUTHOR.sign(signing.SIGN_PREFIX + encode_message(absent)))
        check(signed)
        with self.assertRaises(MessageInvalid):
            check(replace(signed, data=b""))

    def test_broken_messages(self) -> None:
        """Whatever is missing, changed or another's makes a message invalid."""
        stranger = PrivateKey.from_seed(b"\x03" * 32)
        hashed = PrivateKey.generate(KeyType.ECDSA)
        source = AUTHOR.peer_id.multihash
        for wrong in (
            Message(topic="test"),
            replace(MESSAGE, source=None),
            replace(MESSAGE, source=b""),
            replace(MESSAGE, source=source + b"\0"),
            replace(MESSAGE, source=stranger.peer_id.multihash),
            replace(MESSAGE, seqno=None),
            replace(MESSAGE, seqno=b"\1"),
            replace(MESSAGE, seqno=bytes(9)),
            replace(MESSAGE, seqno=bytes(8)),
            replace(MESSAGE, data=b"hallo"),
            replace(MESSAGE, data=None),
            replace(MESSAGE, topic="other"),
            replace(MESSAGE, signature=None),
            replace(MESSAGE, signature=b""),
            replace(MESSAGE, signature=bytes(64)),
            replace(MESSAGE, key=b""),
            replace(MESSAGE, key=b"garbage"),
            replace(MESSAGE, key=stranger.public_key.to_protobuf()),
            replace(sign(hashed, "t", b"", 1), key=None),
            replace(sign(hashed, "t", b"", 1), key=AUTHOR.public_key.to_protobuf()),
        ):
            with self.assertRaises(MessageInvalid, msg=repr(wrong)):
                check(wrong)

    def test_key_must_be_the_authors(self) -> None:
        """Who signs with a key of its own and shows that key can not write in another's name."""
        for author_type in (KeyType.ED25519, KeyType.RSA):
            author, forger = PrivateKey.generate(author_type), PrivateKey.generate(KeyType.ECDSA)
            unsigned = replace(MESSAGE, source=author.peer_id.multihash, signature=None)
            signature = forger.sign(signing.SIGN_PREFIX + encode_message(unsigned))
            with self.assertRaisesRegex(MessageInvalid, "not the author's"):
                check(replace(unsigned, signature=signature, key=forger.public_key.to_protobuf()))

    def test_author(self) -> None:
        """The author is known without verifying anything."""
        self.assertEqual(author_of(replace(MESSAGE, signature=b"wrong")), AUTHOR.peer_id)


class MessageIdTests(SynchronousTestCase):
    def test_published_ids(self) -> None:
        """One message has the IDs that go-, js- and rust-libp2p make of it."""
        ids = message_ids(AUTHOR.peer_id, MESSAGE.seqno or b"", None)
        key = "080112208139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394"
        self.assertEqual(ids.go.hex(), "0024" + key + "0000000000000001")
        self.assertEqual(ids.js.hex(), key + "0000000000000001")
        self.assertEqual(ids.rust, b"12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq1")

    def test_style_is_recognized(self) -> None:
        """Of every type of key the style of an ID can be told, and the ID be found again in that style."""
        for key_type in KeyType:
            message = sign(PrivateKey.generate(key_type), "t", b"", 3)
            ids = message_ids(author_of(message), message.seqno or b"", message.key)
            for style in IdStyle:
                self.assertIs(style_of(ids.in_style(style)), style)

    def test_other_ids_have_no_style(self) -> None:
        """An application's own IDs (a hash of the data, say) are nobody's style."""
        for other in (b"", b"\0", bytes(32), b"\xab" * 20, b"Qm\xff"):
            self.assertIsNone(style_of(other))
