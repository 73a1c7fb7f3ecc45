"""Peer IDs in all their forms."""

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import InvalidKey, InvalidPeerId
from nodetrust.libp2p.keys import PrivateKey, PublicKey
from nodetrust.libp2p.peer_id import PeerId
from tests import vectors

KEYS = vectors.load("libp2p-keys.json")["keys"]
ED25519 = PeerId.from_base58(KEYS["ed25519"]["peer_id"])


class PeerIdTests(SynchronousTestCase):
    def test_published(self) -> None:
        """The published keys have the published IDs, in base58 and as a CID."""
        for name, key in KEYS.items():
            public = (
                PublicKey.from_protobuf(bytes.fromhex(key["public"]))
                if "public" in key
                else PrivateKey.from_seed(bytes.fromhex(key["seed"])).public_key
            )
            peer_id = public.peer_id
            self.assertEqual((str(peer_id), peer_id.to_cid_base36()), (key["peer_id"], key["cid_base36"]), name)
            for text in (str(peer_id), peer_id.to_cid_base36(), peer_id.to_cid_base36().upper()):
                self.assertEqual(PeerId.parse(text), peer_id)
            inline = not str(peer_id).startswith("Qm")
            self.assertEqual(PublicKey.from_peer_id(peer_id), public if inline else None)

    def test_2018(self) -> None:
        """The peers of 2018 have their bytes, texts and CIDs."""
        for peer in vectors.load("nodetrust-2018.json")["peers"].values():
            peer_id = PeerId.from_base58(peer["peer_id"])
            self.assertEqual(peer_id.multihash.hex(), peer["peer_id_bytes"])
            self.assertEqual(peer_id.to_cid_base36(), peer["cid_base36"])
            self.assertEqual(PublicKey.from_protobuf(bytes.fromhex(peer["public_key_protobuf"])).peer_id, peer_id)

    def test_specification_texts(self) -> None:
        """The examples of libp2p/specs: a base32 CID, and a pair of base58 and base36."""
        cid = "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe"
        self.assertEqual(str(PeerId.parse(cid)), "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
        self.assertEqual(PeerId.parse(cid.upper()), PeerId.parse(cid))
        self.assertEqual(
            PeerId.parse("12D3KooWATZi2wFwQxQ14Z3q24TDNWKap6f8W5ryLE6Da4RMfsxy").to_cid_base36(),
            "k51qzi5uqu5dgf513xbrfjl4smgo2eh1x8p8y6grzsf1oz0reiy56p65tds3s6",
        )

    def test_value(self) -> None:
        """Two with the same bytes are one: equal, one hash, ordered by bytes, no other type's equal, unchangeable."""
        twin = PeerId(ED25519.multihash)
        self.assertEqual((twin, hash(twin)), (ED25519, hash(ED25519)))
        self.assertNotEqual(twin, ED25519.multihash)
        self.assertEqual(bytes(twin), ED25519.multihash)
        self.assertEqual(repr(twin), f"<PeerId {ED25519}>")
        ids = [PeerId.from_base58(key["peer_id"]) for key in KEYS.values()]
        self.assertEqual(sorted(ids), sorted(ids, key=bytes))
        self.assertRaises(AttributeError, setattr, twin, "multihash", b"")

    @given(st.binary(min_size=32, max_size=32))
    def test_round_trip(self, digest: bytes) -> None:
        """Every hash comes back from both texts."""
        peer_id = PeerId(b"\x12\x20" + digest)
        self.assertEqual(PeerId.parse(str(peer_id)), peer_id)
        self.assertEqual(PeerId.parse(peer_id.to_cid_base36()), peer_id)

    def test_not_a_multihash(self) -> None:
        """Other hashes, other lengths, and inline bytes that are no key are refused."""
        good = ED25519.multihash
        for data in (
            b"",
            b"\0",
            good[:-1],
            good + b"\0",
            b"\x12\x20" + bytes(31),
            b"\x13\x20" + bytes(32),
            b"\x00\x24" + bytes(36),
            b"\x00\x25\x08\x01\x12\x21" + bytes(33),
        ):
            self.assertRaises(InvalidPeerId, PeerId, data)

    def test_bad_text(self) -> None:
        """Text that is no peer ID is InvalidPeerId, in bounded time."""
        other_codec = "b" + base64.b32encode(b"\x01\x70" + ED25519.multihash).decode().lower().rstrip("=")
        for text in (
            *("", "1", "Q", "Qm", "k", "b", "z", "hello", "12D3KooW0", "Qm\0", "k51-", "b1", "é", "ké", "bé"),
            str(ED25519)[:-1],
            str(ED25519) + "1",
            "k" * 1000,
            "1" * 1_000_000,
            ED25519.to_cid_base36()[:-1],
            other_codec,
        ):
            self.assertRaises(InvalidPeerId, PeerId.parse, text)

    def test_inline_key_off_the_curve(self) -> None:
        """An ID whose inline bytes are no point has no key."""
        self.assertRaises(InvalidKey, PublicKey.from_peer_id, PeerId(b"\x00\x25\x08\x02\x12\x21\x02" + bytes(32)))
