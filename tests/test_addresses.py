"""Public and special addresses: each block, both its edges, and the standard library as a second opinion."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.addresses import IPV4_SPECIAL, IPV6_SPECIAL, by_family, direct_ip, is_public, normalise, special_block
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr

# Where we are stricter than the registry's column "globally reachable": no machine's own address.
STRICTER = [
    ip_network(text)
    for text in (
        *("192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24", "224.0.0.0/4"),
        *("64:ff9b::/96", "2001::/23", "2002::/16", "2620:4f:8000::/48", "ff00::/8"),
    )
]
# Newer than the standard library of Python 3.11, or outside 2000::/3, of which it only knows parts.
UNKNOWN_TO_OLD_PYTHON = [ip_network(text) for text in ("3fff::/20", "::/3", "4000::/2", "8000::/1")]


class AddressesTests(SynchronousTestCase):
    def test_edges(self) -> None:
        """The first and last address of every block are special; those outside it belong to no block, or to another."""
        for block in IPV4_SPECIAL + IPV6_SPECIAL:
            first, last = block.network[0], block.network[-1]
            self.assertFalse(is_public(first), block)
            self.assertFalse(is_public(last), block)
            outside = [first - 1] if int(first) else []
            outside += [last + 1] if int(last) + 1 < 1 << last.max_prefixlen else []
            for address in outside:
                other = special_block(address)
                self.assertIsNot(other, block)
                self.assertEqual(is_public(address), not any(address in b.network for b in IPV4_SPECIAL + IPV6_SPECIAL))

    def test_named(self) -> None:
        """Addresses that must never be in a certificate, with the reason that a person reads."""
        for text, purpose in {
            "127.0.0.1": "loopback",
            "169.254.169.254": "link-local",
            "10.1.2.3": "private use",
            "172.31.255.255": "private use",
            "192.168.0.1": "private use",
            "100.64.0.1": "shared",
            "0.0.0.0": "this network",
            "192.0.2.1": "documentation",
            "224.0.0.1": "multicast",
            "255.255.255.255": "broadcast",
            "198.19.0.1": "benchmarking",
            "192.175.48.6": "anycast",
            "2620:4f:8000::6": "anycast",
            "::": "unspecified",
            "::1": "loopback",
            "::7f00:1": "IPv4-compatible",
            "::ffff:8.8.8.8": "IPv4-mapped",
            "64:ff9b::808:808": "translation",
            "64:ff9b:1::1": "local use",
            "2001::1": "Teredo",
            "2001:db8::1": "documentation",
            "2002:808:808::1": "6to4",
            "2001:20::1": "ORCHID version 2",
            "3fff:fff::1": "documentation",
            "5f00::1": "segment routing",
            "fd00::1": "unique local",
            "fe80::1": "link-local",
            "fec0::1": "site-local",
            "ff02::1": "multicast",
            "4000::1": "reserved",
            "100::1": "discard",
        }.items():
            block = special_block(ip_address(text))
            self.assertIsNotNone(block, text)
            assert block is not None
            self.assertIn(purpose, block.purpose, text)
            self.assertRegex(block.source, r"^RFC \d+$")

    def test_public(self) -> None:
        """Ordinary addresses are public, also those beside a special block."""
        for text in (
            *(
                "1.1.1.1",
                "8.8.8.8",
                "9.255.255.255",
                "11.0.0.0",
                "172.32.0.0",
                "192.0.1.0",
                "223.255.255.255",
                "100.128.0.0",
            ),
            *(
                "2001:200::1",
                "2606:4700:4700::1111",
                "2a00:1450::1",
                "2003::1",
                "2001:db9::1",
                "3ffe::1",
                "2620:fe::fe",
            ),
        ):
            self.assertTrue(is_public(ip_address(text)), text)

    @given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6), st.ip_addresses(v=6, network="2000::/3")))
    def test_second_opinion(self, address: IPv4Address | IPv6Address) -> None:
        """What we call public is global for the standard library; the reverse holds but for where we are stricter."""
        if is_public(address):
            self.assertTrue(address.is_global)
        elif address.is_global:
            self.assertTrue(any(address in network for network in STRICTER + UNKNOWN_TO_OLD_PYTHON), address)

    def test_small_before_large(self) -> None:
        """A block stands in front of those around it, or it would never be found."""
        for blocks in (IPV4_SPECIAL, IPV6_SPECIAL):
            for position, block in enumerate(blocks):
                for later in blocks[position + 1 :]:
                    inside = isinstance(block.network, IPv6Network) and isinstance(later.network, IPv6Network)
                    self.assertFalse(inside and later.network.subnet_of(block.network), (block, later))

    def test_normalise(self) -> None:
        """An IPv4-mapped address is the IPv4 address; every other stays."""
        self.assertEqual(normalise(IPv6Address("::ffff:8.8.8.8")), IPv4Address("8.8.8.8"))
        for text in ("8.8.8.8", "2001:db8::1", "::8.8.8.8", "64:ff9b::808:808"):
            self.assertEqual(normalise(ip_address(text)), ip_address(text))

    def test_where_a_connection_comes_from(self) -> None:
        """The socket's address, whatever runs above it; an IPv4-mapped IPv6 address is the IPv4 address."""
        for text, expected in (
            ("/ip4/8.8.8.8/tcp/1", "8.8.8.8"),
            ("/ip6/2606:4700::1111/tcp/1", "2606:4700::1111"),
            ("/ip6/::ffff:8.8.8.8/tcp/1", "8.8.8.8"),
            ("/ip4/8.8.8.8/tcp/1/tls/ws", "8.8.8.8"),
        ):
            self.assertEqual(str(direct_ip(Multiaddr.parse(text))), expected)

    def test_no_address_of_its_own(self) -> None:
        """A relay's address is not the peer's, and a name is no address."""
        relay = PrivateKey.generate().peer_id
        for text in (f"/ip4/8.8.8.8/tcp/1/p2p/{relay}/p2p-circuit", "/dns4/example.org/tcp/1"):
            self.assertIsNone(direct_ip(Multiaddr.parse(text)))


class FamilyTests(SynchronousTestCase):
    def families(self, *addresses: str) -> dict[int, list[str]]:
        found = by_family([*map(Multiaddr.parse, addresses)])
        return {family: [*map(str, there)] for family, there in found.items()}

    def test_each_family_by_itself(self) -> None:
        """Addresses and names of one family stand together; what is of none stands apart."""
        self.assertEqual(
            self.families("/ip4/192.0.2.1/tcp/1", "/ip6/2001:db8::1/tcp/1", "/dns4/a.example/tcp/2", "/tcp/1"),
            {
                4: ["/ip4/192.0.2.1/tcp/1", "/dns4/a.example/tcp/2"],
                6: ["/ip6/2001:db8::1/tcp/1"],
                0: ["/tcp/1"],
            },
        )

    def test_a_name_for_both(self) -> None:
        """It is looked up for each family, and what stands behind it stays."""
        self.assertEqual(
            self.families("/dns/a.example/tcp/443/tls/ws"),
            {4: ["/dns4/a.example/tcp/443/tls/ws"], 6: ["/dns6/a.example/tcp/443/tls/ws"]},
        )
