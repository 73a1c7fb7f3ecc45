"""Labels and names: the examples of the protocol, every way to write an address, and the CA's rules."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.keys import KeyType, PrivateKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import (
    InvalidName,
    address_from_label,
    autotls_label_for_address,
    certificate_names,
    check_certificate_name,
    check_zone,
    label_for_address,
    label_for_peer,
    name_for_address,
    name_for_peer,
    packed_address_from_autotls_label,
    packed_address_from_label,
    peer_from_autotls_label,
    peer_from_label,
    wildcard_for_peer,
)
from tests import vectors

V2018 = vectors.load("nodetrust-2018.json")
ZONE = "nt.example.org"
PEER = PeerId.from_base58(V2018["peers"]["ed25519"]["peer_id"])

# An address whose groups are mostly zero, as real ones are: the compressed form has a run, or two, somewhere.
SPARSE_IPV6 = st.lists(st.sampled_from([0, 0, 0, 1, 0xDB8, 0xFFFF, 0x2001]), min_size=8, max_size=8).map(
    lambda groups: IPv6Address(b"".join(group.to_bytes(2, "big") for group in groups))
)

WRITTEN = {
    "127.0.0.1": "ip4127-0-0-1",
    "0.0.0.0": "ip40-0-0-0",
    "::1": "ip6--1",
    "::": "ip6--0",
    "2001:db8::": "ip62001-db8--0",
    "2001:db8::1": "ip62001-db8--1",
    "fe80::": "ip6fe80--0",
    "::ffff:1.2.3.4": "ip6--ffff-102-304",
    "::1.2.3.4": "ip6--102-304",
    "::ffff:0:0": "ip6--ffff-0-0",
    "1:0:3:4:5:6:7:8": "ip61-0-3-4-5-6-7-8",
    "2001:0:0:1:0:0:0:1": "ip62001-0-0-1--1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "ip6ffff-ffff-ffff-ffff-ffff-ffff-ffff-ffff",
}


class AutoTlsLabelTests(SynchronousTestCase):
    """Labels as libp2p.direct has them."""

    def test_written(self) -> None:
        """Those of p2p-forge's own table."""
        for text, label in {
            "1.2.3.4": "1-2-3-4",
            "::1": "0--1",
            "::": "0--0",
            "2001:db8::": "2001-db8--0",
            "2001:db8::1": "2001-db8--1",
        }.items():
            self.assertEqual(autotls_label_for_address(ip_address(text)), label)

    @given(st.one_of(st.ip_addresses(), SPARSE_IPV6))
    def test_round_trip(self, address: IPv4Address | IPv6Address) -> None:
        """What is written is read as the same, begins and ends with no hyphen, and is no label of ours."""
        label = autotls_label_for_address(address)
        self.assertEqual(packed_address_from_autotls_label(label), address.packed)
        self.assertEqual(packed_address_from_autotls_label(label.upper()), address.packed)
        self.assertNotIn("-", (label[0], label[-1]))
        self.assertIs(packed_address_from_label(label), None)

    def test_not_an_address(self) -> None:
        """Other numbers of parts, octets above 255 or with a leading zero, and what is no number."""
        for label in ("", "1-2-3", "1-2-3-4-5", "1-2-3-256", "01-2-3-4", "1-2-3-4-5-6-7-8-9", "1---2", "ip41-2-3-4"):
            self.assertIs(packed_address_from_autotls_label(label), None, label)

    def test_peers(self) -> None:
        """A CID of every kind of key is read in base 36 and in any case; cut, changed, or of other data it is none."""
        for kind in KeyType:
            if kind is not KeyType.RSA:
                peer = PrivateKey.generate(kind).peer_id
                cid = peer.to_cid_base36()
                self.assertEqual((peer_from_autotls_label(cid), peer_from_autotls_label(cid.upper())), (peer, peer))
                for other in (cid[:-1], cid + "0", cid[1:], label_for_peer(peer), str(peer), "", "k", "b", "bücher"):
                    self.assertIs(peer_from_autotls_label(other), None, other)


class AddressLabelTests(SynchronousTestCase):
    def test_2018(self) -> None:
        """Each label that was made in 2018 is read; where it is canonical and no CA refuses it, it is ours as well."""
        for pair in V2018["addresses"]:
            address = ip_address(pair["address"])
            self.assertEqual(address_from_label(pair["label"]), address)
            if str(address) == pair["address"]:
                self.assertEqual(label_for_address(address), pair["label"])

    def test_written(self) -> None:
        """Compressed as RFC 5952 says, no dots, and a 0 where the label would end in a hyphen."""
        for address, label in WRITTEN.items():
            self.assertEqual(label_for_address(ip_address(address)), label)
            self.assertEqual(address_from_label(label), ip_address(address))

    def test_read(self) -> None:
        """Every way to write an address is read: not compressed, with zeros, in upper case, ending in hyphens."""
        for label, address in {
            "ip60--1": "::1",
            "ip6--": "::",
            "ip60--0": "::",
            "ip60--": "::",
            "ip62001-db8--": "2001:db8::",
            "ip62001-DB8-0-0-0-0-0-1": "2001:db8::1",
            "IP62001-0db8-0000-0000-0000-0000-0000-0001": "2001:db8::1",
            "Ip4255-255-255-255": "255.255.255.255",
            "ip61-2-3-4-5-6-7--": "1:2:3:4:5:6:7:0",
        }.items():
            self.assertEqual(address_from_label(label), ip_address(address), label)
            self.assertEqual(packed_address_from_label(label), ip_address(address).packed)

    def test_not_an_address(self) -> None:
        """Octets past 255 or with a zero in front, wrong counts, and other characters spell nothing."""
        for label in (
            *(
                "",
                "i",
                "ip",
                "ip4",
                "ip6",
                "ip5",
                "ip41-2-3",
                "ip41-2-3-4-5",
                "ip4256-1-1-1",
                "ip401-2-3-4",
                "ip41-2-3-04",
            ),
            *(
                "ip4-1-2-3",
                "ip41-2-3-4-",
                "ip41--3-4",
                "ip41.2.3.4",
                "ip40x1-2-3-4",
                "ip4+1-2-3-4",
                "ip4 1-2-3-4",
                "ip4१-2-3-4",
            ),
            *(
                "ip6-",
                "ip6---",
                "ip61--2--3",
                "ip6::1",
                "ip6--1.2.3.4",
                "ip6--ffff-1.2.3.4",
                "ip61-2-3-4-5-6-7",
                "ip6g--1",
            ),
            *(
                "ip61-2-3-4-5-6-7-8-9",
                "ip61-2-3-4-5-6-7-8--",
                "ip6--12345",
                "ip6--1%1",
                "ip6--1\0",
                "ip6-1-2-3-4-5-6-7-8",
            ),
            *("ip6--1-", "ip7--1", "xip6--1", "ıp41-2-3-4", "ip6" + "0-" * 1000, "p", "127-0-0-1"),
        ):
            self.assertIsNone(address_from_label(label), label)

    @given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6), SPARSE_IPV6))
    @example(IPv6Address("::"))
    @example(IPv4Address("0.0.0.0"))
    def test_round_trip(self, address: IPv4Address | IPv6Address) -> None:
        """Every address comes back from its label, in either case, and a CA would sign its name."""
        label = label_for_address(address)
        self.assertEqual(address_from_label(label), address)
        self.assertEqual(address_from_label(label.upper()), address)
        check_certificate_name(name_for_address(address, ZONE))

    @given(SPARSE_IPV6)
    def test_one_label(self, address: IPv6Address) -> None:
        """What is written is the standard library's text, with hyphens."""
        text = address.compressed
        if "." not in text:  # Python 3.13 writes ::ffff:1.2.3.4
            label = "ip6" + text.replace(":", "-")
            self.assertEqual(label_for_address(address), label + "0" if label.endswith("-") else label)

    @given(st.text("ip46-:.0123456789abcdefABCDEFx", max_size=50))
    def test_garbage(self, text: str) -> None:
        """Any text is an address or nothing; what is one comes back from its canonical label."""
        for label in (text, "ip4" + text, "ip6" + text):
            address = address_from_label(label)
            if address is not None:
                self.assertEqual(address_from_label(label_for_address(address)), address)


class PeerLabelTests(SynchronousTestCase):
    def test_published(self) -> None:
        """The labels of 2018, and the one that the protocol's text shows."""
        pairs = [(peer["label"], peer["peer_id"]) for peer in V2018["peers"].values()]
        pairs.append(
            ("pw4t9mvzh6onnp01f80botcm2pek713h2prwjb3qx6j9bnak4a4o8", "QmfVDYD9Du7fNR4DKooPXZnRUoArR3FBRR3udbhZAT9m2H")
        )
        for label, text in pairs:
            self.assertEqual(label_for_peer(PeerId.from_base58(text)), label)
            self.assertEqual(peer_from_label(label), PeerId.from_base58(text))
            self.assertEqual(peer_from_label(label.upper()), PeerId.from_base58(text))

    def test_fits(self) -> None:
        """Every kind of peer has a label that fits DNS, whose name a CA would sign."""
        for kind in KeyType:
            if kind is not KeyType.RSA:
                peer = PrivateKey.generate(kind).peer_id
                check_certificate_name(name_for_peer(peer, ZONE))
        check_certificate_name(name_for_peer(PeerId(b"\x12\x20" + b"\xff" * 32), ZONE))
        largest = PeerId(b"\x00\x25\x08\x02\x12\x21" + b"\xff" * 33)
        check_certificate_name(name_for_peer(largest, ZONE))

    @given(st.binary(min_size=32, max_size=32))
    def test_round_trip(self, digest: bytes) -> None:
        """Every peer comes back from its label."""
        for multihash in (b"\x12\x20" + digest, b"\x00\x24\x08\x01\x12\x20" + digest):
            self.assertEqual(peer_from_label(label_for_peer(PeerId(multihash))), PeerId(multihash))

    def test_not_a_peer(self) -> None:
        """Digits that spell no multihash, strangers, and other labels are nobody's."""
        label = label_for_peer(PEER)
        for text in (
            *(
                "",
                "p",
                "pa",
                "paaa",
                "phello",
                "www",
                "ip41-2-3-4",
                "p-",
                "pé",
                "p" * 64,
                "p" + "9" * 62,
                "p" * 100_000,
            ),
            *(label[1:], label + "a", "pa" + label[1:], label[:-1], label[:-1] + "_", label.replace("pa", "p", 1)),
        ):
            self.assertIsNone(peer_from_label(text), text[:80])


class NameTests(SynchronousTestCase):
    def test_forms(self) -> None:
        """The names of an address, of a peer, and the wildcard that covers a peer's addresses."""
        peer_label = label_for_peer(PEER)
        address = ip_address("1.2.3.4")
        self.assertEqual(name_for_address(address, ZONE), f"ip41-2-3-4.{ZONE}")
        self.assertEqual(name_for_peer(PEER, ZONE), f"{peer_label}.{ZONE}")
        self.assertEqual(wildcard_for_peer(PEER, ZONE), f"*.{peer_label}.{ZONE}")

    def test_names_of_a_certificate(self) -> None:
        """The peer's own name always; its addresses' and what is below it as chosen."""
        address = ip_address("192.0.2.1")
        own, wildcard = name_for_peer(PEER, ZONE), wildcard_for_peer(PEER, ZONE)
        of_address = name_for_address(address, ZONE)
        self.assertEqual(certificate_names(PEER, [address], ZONE, "addresses"), {own, of_address})
        self.assertEqual(certificate_names(PEER, [address], ZONE, "peer"), {own, wildcard})
        self.assertEqual(certificate_names(PEER, [address], ZONE, "both"), {own, of_address, wildcard})

    def test_too_long(self) -> None:
        """Below a very long zone there is no room for a name."""
        zone = ".".join(["z" * 60] * 4)
        name_for_address(ip_address("1.2.3.4"), "z" + zone[5:])
        self.assertRaises(InvalidName, name_for_peer, PEER, zone)

    def test_certificate_names(self) -> None:
        """Names that Let's Encrypt takes (by Boulder's own code)."""
        for name in (
            *(
                "ip6--1.nt.example.org",
                "ip62001-db8--0.nt.example.org",
                "*.pabc.nt.example.org",
                "xn--bcher-kva.example",
            ),
            *("a.b.c.d.e.f.g.h.example.org", "*.b.c.d.e.f.g.h.example.org", "x" * 63 + ".org", "ip4x.example.org"),
            ".".join(["a" * 60] * 4) + ".org.de",
        ):
            check_certificate_name(name)

    def test_refused_names(self) -> None:
        """Names that Let's Encrypt refuses, and addresses that are none, each with a reason."""
        for name, reason in {
            "": "below",
            "org": "below",
            "*.org": "below",
            "ip6fe80--.nt.example.org": "inside",
            "-a.example.org": "inside",
            "ab--1.example.org": "reserved",
            "fe--1.example.org": "reserved",
            "IP41-2-3-4.example.org": "inside",
            "_acme-challenge.example.org": "inside",
            "a.b.c.d.e.f.g.h.i.example.org": "10 labels",
            "*.b.c.d.e.f.g.h.i.example.org": "10 labels",
            "x" * 64 + ".org": "63",
            ".".join(["a" * 60] * 4) + ".example.org": "253",
            "a..example.org": "empty",
            "a.example.org.": "empty",
            ".example.org": "empty",
            "a.*.example.org": "inside",
            "**.example.org": "inside",
            "a*.example.org": "inside",
            "1.2.3.4": "IP address",
            "ip4256-1-1-1.example.org": "no IPv4",
            "ip401-1-1-1.example.org": "no IPv4",
            "bücher.example.org": "inside",
            "a b.example.org": "inside",
            "a\n.example.org": "inside",
            "a.example.org\n": "inside",
        }.items():
            error = self.assertRaises(InvalidName, check_certificate_name, name)
            self.assertIn(reason, str(error), name)
            self.assertEqual(error.name, name)

    def test_zone(self) -> None:
        """A zone is put into its normal form; what is no domain name is refused."""
        self.assertEqual(check_zone("NT.Example.org."), "nt.example.org")
        self.assertEqual(check_zone("_x.test"), "_x.test")
        for zone in (
            "",
            ".",
            "a..b",
            "-a.b",
            "a-.b",
            "a b",
            "é.org",
            "*.a",
            "x" * 64,
            ".".join("x" * 128),
            "a" * 10**6,
        ):
            self.assertRaises(InvalidName, check_zone, zone)
        self.assertLess(len(str(self.assertRaises(InvalidName, check_zone, "a" * 10**6))), 700)
