"""Identity keys: the specification's vectors, signatures of all types, and keys that must not be taken."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p import varint
from nodetrust.libp2p.errors import InvalidKey
from nodetrust.libp2p.keys import MAX_RSA_EXPONENT, KeyType, PrivateKey, PublicKey
from nodetrust.libp2p.pb import crypto_pb2
from tests import vectors

KEYS = vectors.load("libp2p-keys.json")["keys"]
PAIRS = {name: key for name, key in KEYS.items() if "private" in key}
DER = serialization.Encoding.DER
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo

# One RSA key of each size serves all tests: making them takes time.
RSA_KEY = PrivateKey.from_protobuf(bytes.fromhex(PAIRS["rsa"]["private"]))


def protobuf(key_type: int, data: bytes) -> bytes:
    return bytes((8, key_type, 0x12)) + varint.encode(len(data)) + data


def spki(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(DER, SPKI)


class VectorTests(SynchronousTestCase):
    def test_pairs(self) -> None:
        """The specification's private keys are read and written unchanged, and have the public keys given with them."""
        self.assertEqual(len(PAIRS), 4)
        for name, pair in PAIRS.items():
            private, public = bytes.fromhex(pair["private"]), bytes.fromhex(pair["public"])
            key = PrivateKey.from_protobuf(private)
            self.assertEqual(key.to_protobuf(), private, name)
            self.assertEqual(key.public_key.to_protobuf(), public, name)
            self.assertEqual(PublicKey.from_protobuf(public), key.public_key)
            self.assertEqual(hash(PublicKey.from_protobuf(public)), hash(key.public_key))
            self.assertEqual(str(key.peer_id), pair["peer_id"])
            self.assertIs(key.peer_id, key.public_key.peer_id)
            self.assertIn(pair["peer_id"], repr(key.public_key))
            self.assertNotEqual(key.public_key, public)

    def test_2018(self) -> None:
        """The keys that JavaScript made in 2018 are read and written unchanged."""
        for name, peer in vectors.load("nodetrust-2018.json")["peers"].items():
            private = bytes.fromhex(peer["private_key_protobuf"])
            key = PrivateKey.from_protobuf(private)
            self.assertEqual(key.to_protobuf(), private, name)
            self.assertEqual(key.public_key.to_protobuf().hex(), peer["public_key_protobuf"])

    def test_protobuf_library(self) -> None:
        """What is written and read by hand is what the protobuf library writes and reads."""
        for pair in PAIRS.values():
            message = crypto_pb2.PublicKey.FromString(bytes.fromhex(pair["public"]))
            key = PublicKey.from_protobuf(message.SerializeToString())
            self.assertEqual((key.type, key.raw), (message.Type, message.Data))

    def test_rfc8032(self) -> None:
        """RFC 8032 §7.1, test 2."""
        key = PrivateKey.from_seed(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
        self.assertEqual(key.public_key.raw.hex(), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
        self.assertEqual(
            key.sign(b"\x72").hex(),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        )


class SignatureTests(SynchronousTestCase):
    def test_all_types(self) -> None:
        """A signature holds for its data and its key, and for nothing else; so do those of a key that was read back."""
        keys = [PrivateKey.generate(kind) for kind in KeyType if kind is not KeyType.RSA] + [RSA_KEY]
        for key in keys:
            public = PublicKey.from_protobuf(key.public_key.to_protobuf())
            signature = PrivateKey.from_protobuf(key.to_protobuf()).sign(b"data")
            self.assertTrue(public.verify(signature, b"data"))
            self.assertFalse(public.verify(signature, b"date"))
            self.assertFalse(public.verify(signature[:-1], b"data"))
            self.assertFalse(public.verify(signature + b"\0", b"data"))
            self.assertFalse(any(other.public_key.verify(signature, b"data") for other in keys if other is not key))

    @given(st.binary(max_size=80), st.sampled_from(sorted(PAIRS)))
    def test_garbage(self, signature: bytes, name: str) -> None:
        """Verifying any bytes says no, and raises nothing."""
        self.assertFalse(PublicKey.from_protobuf(bytes.fromhex(PAIRS[name]["public"])).verify(signature, b"data"))

    def test_secret_stays_secret(self) -> None:
        """The text of a private key is the peer's, not the key's."""
        key = PrivateKey.from_seed(b"\2" * 32)
        self.assertEqual(repr(key), f"<PrivateKey ED25519 of {KEYS['seed02']['peer_id']}>")


class RefusedPublicKeyTests(SynchronousTestCase):
    def refuse(self, data: bytes) -> None:
        self.assertRaises(InvalidKey, PublicKey.from_protobuf, data)

    def test_not_canonical(self) -> None:
        """A key's protobuf has one form: no other order, no more fields, no longer varints, no missing type."""
        raw = bytes.fromhex(KEYS["ed25519"]["public"])[4:]
        for data in (
            b"\x12\x20" + raw + b"\x08\x01",
            b"\x08\x81\x00\x12\x20" + raw,
            b"\x08\x01\x12\xa0\x00" + raw,
            b"\x08\x01\x12\x20" + raw + b"\x18\x01",
            b"\x08\x01\x08\x01\x12\x20" + raw,
            b"\x12\x20" + raw,
            b"\x08\x04\x12\x20" + raw,
        ):
            self.refuse(data)

    def test_cut_and_garbage(self) -> None:
        """Nothing that is cut short, or longer than it says, is a key."""
        for pair in PAIRS.values():
            data = bytes.fromhex(pair["public"])
            for end in [*range(8), len(data) - 1]:
                self.refuse(data[:end])
            self.refuse(data + b"\0")

    @given(st.binary(max_size=100), st.integers(0, 3), st.booleans())
    def test_random(self, data: bytes, key_type: int, framed: bool) -> None:
        """Random bytes raise InvalidKey or are a key of 32 or 33 bytes, nothing else."""
        try:
            key = PublicKey.from_protobuf(protobuf(key_type, data) if framed else data)
        except InvalidKey:
            return
        self.assertIn(len(key.raw), (32, 33))

    def test_rsa_sizes(self) -> None:
        """RSA is taken from 2048 to 4096 bits; a modulus is made up, as only its size is looked at."""
        for bits, taken in (
            (512, False),
            (1024, False),
            (2040, False),
            (2048, True),
            (4096, True),
            (4104, False),
            (8192, False),
        ):
            numbers = rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) + 1)
            data = protobuf(0, spki(numbers.public_key()))
            if taken:
                self.assertEqual(PublicKey.from_protobuf(data).type, KeyType.RSA)
            else:
                self.refuse(data)

    def test_rsa_length_first(self) -> None:
        """A key that is too long is refused by its length, before its DER is looked at (CVE-2023-39533)."""
        error = self.assertRaises(InvalidKey, PublicKey.from_protobuf, protobuf(0, bytes(100_000)))
        self.assertIn("100000 bytes", str(error))

    def test_rsa_exponent(self) -> None:
        """A public exponent past 31 bits only costs us time."""
        modulus = RSA_KEY.public_key._key.public_numbers().n  # type: ignore[union-attr]
        numbers = rsa.RSAPublicNumbers(MAX_RSA_EXPONENT + 2, modulus)
        self.refuse(protobuf(0, spki(numbers.public_key())))

    def test_other_kind_inside(self) -> None:
        """The type says what the bytes are."""
        p256, p384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
        ed = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(DER, SPKI)
        self.assertEqual(PublicKey.from_protobuf(protobuf(3, spki(p256.public_key()))).type, KeyType.ECDSA)
        for key_type, data in (
            (0, spki(p256.public_key())),
            (3, spki(p384.public_key())),
            (3, RSA_KEY.public_key.raw),
            (0, ed),
            (1, ed),
            (2, spki(p256.public_key())),
        ):
            self.refuse(protobuf(key_type, data))

    def test_compressed_point_inside(self) -> None:
        """The same ECDSA key in another encoding would be another peer: it is refused."""
        raw = bytes.fromhex(KEYS["ecdsa"]["public"])[4:]
        point = raw[-64:]
        short = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200") + bytes((2 + point[63] % 2,))
        serialization.load_der_public_key(short + point[:32])  # it is a key, only not in the usual form
        self.refuse(protobuf(3, short + point[:32]))

    def test_off_the_curve(self) -> None:
        """A secp256k1 point must be on its curve, and compressed."""
        self.refuse(protobuf(2, b"\x02" + bytes(32)))
        self.refuse(protobuf(2, b"\x05" + b"\x01" * 32))
        self.refuse(protobuf(2, b"\x04" + bytes(64)))

    def test_small_order(self) -> None:
        """Ed25519 keys of small order, for which anybody can sign, are refused with either sign."""
        for y in (
            "00" * 32,
            "01" + "00" * 31,
            "ec" + "ff" * 30 + "7f",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        ):
            raw = bytes.fromhex(y)
            self.refuse(protobuf(1, raw))
            self.refuse(protobuf(1, raw[:31] + bytes((raw[31] | 0x80,))))


class PrivateKeyTests(SynchronousTestCase):
    def test_ed25519_forms(self) -> None:
        """The old form with the public key twice is read; a public half of somebody else is not."""
        key = PrivateKey.from_seed(b"\1" * 32)
        seed, public = b"\1" * 32, key.public_key.raw
        self.assertEqual(str(key.peer_id), KEYS["seed01"]["peer_id"])
        self.assertEqual(PrivateKey.from_protobuf(protobuf(1, seed + public * 2)).to_protobuf(), key.to_protobuf())
        for data in (seed, seed + bytes(32), seed + public + bytes(32), seed + public * 3, b""):
            self.assertRaises(InvalidKey, PrivateKey.from_protobuf, protobuf(1, data))
        self.assertRaises(InvalidKey, PrivateKey.from_seed, b"short")

    def test_garbage(self) -> None:
        """Wrong content is InvalidKey for each type."""
        for key_type in range(4):
            for data in (b"", bytes(32), b"\xff" * 32, b"\x30\x03\x02\x01\x00", bytes(31)):
                self.assertRaises(InvalidKey, PrivateKey.from_protobuf, protobuf(key_type, data))
        p384 = ec.generate_private_key(ec.SECP384R1()).private_bytes(
            DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        self.assertRaises(InvalidKey, PrivateKey.from_protobuf, protobuf(3, p384))
        self.assertRaises(InvalidKey, PrivateKey.from_protobuf, protobuf(0, p384))

    def test_generate_rsa(self) -> None:
        """A new RSA key has the smallest size that peers take."""
        key = PrivateKey.generate(KeyType.RSA)
        self.assertTrue(key.public_key.verify(key.sign(b"data"), b"data"))
        self.assertTrue(str(key.peer_id).startswith("Qm"))
