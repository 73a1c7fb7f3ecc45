"""Multiaddrs: published pairs, round trips, and what is refused."""

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import InvalidMultiaddr, Libp2pError
from nodetrust.libp2p.multiaddr import MAX_MULTIADDR_BYTES, Component, Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from tests import vectors

I = vectors.load("libp2p-keys.json")["keys"]["seed02"]  # noqa: E741  the name of this key in the vectors
PEER = PeerId.from_base58(I["peer_id"])

# libp2p: made with js-multiaddr
PUBLISHED = {
    "/ip4/1.2.3.4/tcp/4001": "0401020304060fa1",
    "/ip4/1.2.3.4/tcp/4001/ws": "0401020304060fa1dd03",
    "/ip4/1.2.3.4/tcp/4001/tls/ws": "0401020304060fa1c003dd03",
    "/ip4/1.2.3.4/tcp/4001/wss": "0401020304060fa1de03",
    "/ip4/1.2.3.4/tcp/4001/tls/sni/example.com/ws": "0401020304060fa1c003c1030b6578616d706c652e636f6ddd03",
    "/dns4/example.com/tcp/443/tls/ws": "360b6578616d706c652e636f6d0601bbc003dd03",
    "/ip6/2001:db8::1/tcp/4001": "2920010db8000000000000000000000001060fa1",
    "/ip4/1.2.3.4/udp/4001/quic-v1": "040102030491020fa1cd03",
    f"/ip4/1.2.3.4/tcp/4001/p2p/{PEER}": "0401020304060fa1a50326" + PEER.multihash.hex(),
    "/p2p-circuit": "a202",
}

ADDRESSES = st.builds(
    lambda ip, port, tail: Multiaddr.of(ip, ("tcp", port), *tail),
    st.one_of(
        st.ip_addresses(v=4).map(lambda ip: ("ip4", str(ip))),
        st.ip_addresses(v=6).map(lambda ip: ("ip6", str(ip))),
        st.sampled_from(["dns", "dns4", "dns6", "dnsaddr"]).map(lambda name: (name, "a.example")),
    ),
    st.integers(0, 0xFFFF),
    st.lists(st.sampled_from([("ws", None), ("tls", None), ("sni", "*.a.example"), ("p2p", str(PEER)), ("udp", 9)])),
)


class MultiaddrTests(SynchronousTestCase):
    def test_published(self) -> None:
        """The published pairs of text and bytes hold both ways."""
        for text, data in PUBLISHED.items():
            address = Multiaddr.parse(text)
            self.assertEqual(bytes(address).hex(), data, text)
            self.assertEqual(str(Multiaddr.from_bytes(bytes.fromhex(data))), text)
            self.assertEqual(Multiaddr.from_bytes(bytes.fromhex(data)), address)

    def test_more_protocols(self) -> None:
        """Every other protocol that we know comes back as it was."""
        for text in (
            "/ip6zone/eth0/ip6/fe80::1/tcp/1",
            f"/ip4/1.2.3.4/tcp/1/p2p/{PEER}/p2p-circuit/webrtc/p2p/{PEER}",
            "/ip4/1.2.3.4/udp/1/quic-v1/webtransport/certhash/uEiAsGPzpiPGQzSlVHRXrUCT5EkTV7YFrV4VZ3hpEKTd_zg",
            "/ip4/1.2.3.4/udp/1/webrtc-direct/certhash/uEiAsGPzpiPGQzSlVHRXrUCT5EkTV7YFrV4VZ3hpEKTd_zg",
            "/dns/a.example/tcp/443/tls/http/http-path/a%2Fb%20c",
            "/dnsaddr/bootstrap.libp2p.io",
            "/ip4/0.0.0.0/tcp/0/tls/sni/*.a.example/ws",
        ):
            self.assertEqual(str(Multiaddr.from_bytes(bytes(Multiaddr.parse(text)))), text)

    @given(ADDRESSES)
    def test_round_trip(self, address: Multiaddr) -> None:
        """Text and bytes come back as the same address with the same hash."""
        for again in (Multiaddr.parse(str(address)), Multiaddr.from_bytes(bytes(address))):
            self.assertEqual((again, hash(again), again.components), (address, hash(address), address.components))

    def test_one_text(self) -> None:
        """Texts for the same bytes become one: old names, CIDs, long IPv6, a final slash."""
        for text in (f"/ipfs/{PEER}", f"/p2p/{PEER.to_cid_base36()}", f"/p2p/{PEER}/"):
            self.assertEqual(str(Multiaddr.parse(text)), f"/p2p/{PEER}")
        self.assertEqual(bytes(Multiaddr.parse(f"/p2p/{PEER.to_cid_base36()}"))[3:], PEER.multihash)
        self.assertEqual(str(Multiaddr.parse("/ip6/2001:DB8:0:0::1")), "/ip6/2001:db8::1")

    def test_parts(self) -> None:
        """The first value of a name, and whether a name is there."""
        address = Multiaddr.parse("/ip4/1.2.3.4/tcp/1/ws")
        self.assertEqual((address.get("tcp"), address.get("udp"), address.get("ws")), ("1", None, None))
        self.assertEqual((address.has("ws"), address.has("tls")), (True, False))
        self.assertEqual(address.components[0], Component("ip4", "1.2.3.4"))
        self.assertEqual(repr(address), "<Multiaddr /ip4/1.2.3.4/tcp/1/ws>")
        self.assertNotEqual(address, str(address))

    def test_peer(self) -> None:
        """The peer at the end counts; a relay in the middle does not."""
        plain = Multiaddr.parse("/ip4/1.2.3.4/tcp/1")
        mine = plain.with_peer_id(PEER)
        nobody = Multiaddr.parse(f"/p2p/{PEER}").without_peer_id()
        relayed = mine / Multiaddr.parse("/p2p-circuit")
        self.assertEqual(mine, Multiaddr.parse(f"/ip4/1.2.3.4/tcp/1/p2p/{PEER}"))
        self.assertEqual([a.peer_id for a in (plain, mine, relayed, nobody)], [None, PEER, None, None])
        self.assertEqual(mine.without_peer_id(), plain)
        self.assertEqual(bytes(mine.without_peer_id()), bytes(plain))
        self.assertIs(relayed.without_peer_id(), relayed)
        other = PeerId(b"\x12\x20" + bytes(32))
        self.assertEqual(mine.with_peer_id(other).without_peer_id(), plain)

    def test_refused_text(self) -> None:
        """Text that is no address, of a protocol that we do not know, or with a value that does not fit."""
        for text in (
            *(
                "",
                "ip4",
                "ip4/1.2.3.4",
                "//",
                "/ip4",
                "/ip4/",
                "/ip4/1.2.3",
                "/ip4/1.2.3.04",
                "/ip4/::1",
                "/ip6/1.2.3.4",
            ),
            *(
                "/ip6/fe80::1%eth0",
                "/tcp/",
                "/tcp/65536",
                "/tcp/-1",
                "/tcp/1_0",
                "/tcp/٣",
                "/tcp/ 1",
                "/ws/1",
                "/what/1",
            ),
            *("/p2p/", "/p2p/x", "/dns/", "/dns/a b", "/dns/a\nb", "/dns/" + "a" * 256, "/certhash/x", "/certhash/u!"),
            "/ws" * 10_000,
            "/dns/" + "é" * 2000,
        ):
            with self.assertRaises(Libp2pError):
                Multiaddr.parse(text)

    def test_refused_bytes(self) -> None:
        """Every cut of an address is refused or is a shorter one; unknown codes and bad values are refused."""
        for text, data in PUBLISHED.items():
            for end in range(len(data) // 2):
                try:
                    shorter = str(Multiaddr.from_bytes(bytes.fromhex(data)[:end]))
                except InvalidMultiaddr:
                    continue
                self.assertTrue(text.startswith(shorter + "/"))
        for data in (
            "",
            "07",
            "ff",
            "8004",
            "0601",
            "35",
            "3500",
            "3501ff",
            "350161" + "06",
            "a50300",
            "a5030100",
            "c1037f61",
            "e10300",
        ):
            self.assertRaises(InvalidMultiaddr, Multiaddr.from_bytes, bytes.fromhex(data))

    @given(st.binary(max_size=60))
    def test_garbage(self, data: bytes) -> None:
        """Any bytes are InvalidMultiaddr or an address that comes back from its text."""
        try:
            address = Multiaddr.from_bytes(data)
        except InvalidMultiaddr:
            return
        self.assertEqual(bytes(Multiaddr.parse(str(address))), data)

    def test_bounds(self) -> None:
        """No address is larger than the limit, however it comes about."""
        longest = Multiaddr.from_bytes(b"\xdd\x03" * (MAX_MULTIADDR_BYTES // 2))
        self.assertRaises(InvalidMultiaddr, Multiaddr.from_bytes, bytes(longest) + b"\xdd\x03")
        self.assertRaises(InvalidMultiaddr, lambda: longest / Multiaddr.of(("ws", None)))
        self.assertRaises(InvalidMultiaddr, Multiaddr.of, ("tcp", None))
        self.assertRaises(InvalidMultiaddr, Multiaddr.of, ("ws", 1))
        self.assertRaises(InvalidMultiaddr, Multiaddr.of, ("nothing", 1))

    @given(st.ip_addresses())
    def test_any_ip(self, ip: IPv4Address | IPv6Address) -> None:
        """The bytes of an IP address are its own, in network order."""
        self.assertEqual(bytes(Multiaddr.of((f"ip{ip.version}", str(ip))))[1:], ip.packed)
