"""Which announced addresses a listener wants to know of."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.discovery import Announcement, Wanted
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.names import autotls_label_for_address, label_for_peer

AUTHOR = PrivateKey.from_seed(bytes(32)).peer_id
BEHIND = PrivateKey.from_seed(bytes([1] * 32)).peer_id
STRANGER = PrivateKey.from_seed(bytes([2] * 32)).peer_id
ZONE = "nt.example.org"
PUBLIC = "ip41-2-3-4"
WSS = "/tcp/4443/tls/ws"


def kept(wanted, *addresses):
    """The addresses that are left, without their /p2p."""
    whole = tuple(Multiaddr.parse(address).with_peer_id(BEHIND) for address in addresses)
    left = wanted.of(Announcement(AUTHOR, BEHIND, whole))
    return [] if left is None else [str(address.without_peer_id()) for address in left.addresses]


class ZoneTests(SynchronousTestCase):
    wanted = Wanted(frozenset({ZONE, "other.example"}))

    def assertKept(self, *addresses):
        for address in addresses:
            self.assertEqual(kept(self.wanted, address), [address])

    def assertLeftOut(self, *addresses):
        for address in addresses:
            self.assertEqual(kept(self.wanted, address), [], address)

    def test_without_rules(self):
        """All that is announced is wanted, untouched."""
        for address in ("/dns4/example.com/tcp/1", "/ip4/127.0.0.1/tcp/1"):
            self.assertEqual(kept(Wanted(), address), [address])

    def test_names_of_the_zones(self):
        """Those that spell an address, and those at or below the label of the author or of the peer behind it."""
        cid = BEHIND.to_cid_base36()
        self.assertKept(
            f"/dns4/{PUBLIC}.{ZONE}{WSS}",
            f"/dns4/{PUBLIC}.other.example{WSS}",
            f"/dns4/{PUBLIC}.anything.{ZONE}{WSS}",
            f"/dns6/ip62a00--1.{ZONE}{WSS}",
            f"/dns4/{PUBLIC.upper()}.NT.example.ORG.{WSS}",
            f"/dns4/{PUBLIC}.{label_for_peer(AUTHOR)}.{ZONE}{WSS}",
            f"/dns4/www.{label_for_peer(AUTHOR)}.{ZONE}{WSS}",
            f"/dns4/{label_for_peer(BEHIND)}.{ZONE}{WSS}",
            f"/dns4/1-2-3-4.{cid}.{ZONE}{WSS}",
            f"/ip4/1.2.3.4/tcp/4443/tls/sni/{PUBLIC}.{ZONE}/ws",
        )

    def test_other_names(self):
        """Another zone's; the zone itself and names that spell nothing; another peer's."""
        self.assertLeftOut(
            f"/dns4/{PUBLIC}.example.org{WSS}",
            f"/dns4/{PUBLIC}.not{ZONE}{WSS}",
            f"/dns4/{PUBLIC}.{ZONE}.example.com{WSS}",
            f"/dns4/{ZONE}{WSS}",
            f"/dns4/www.{ZONE}{WSS}",
            f"/dnsaddr/www.{ZONE}",
            f"/dns/ip4256-1-1-1.{ZONE}{WSS}",
            f"/dns4/www.{label_for_peer(STRANGER)}.{ZONE}{WSS}",
            f"/dns4/1-2-3-4.{STRANGER.to_cid_base36()}.{ZONE}{WSS}",
            f"/ip4/1.2.3.4/tcp/4443/tls/sni/www.{ZONE}/ws",
        )

    def test_addresses_without_names(self):
        """They are of no zone, and wanted."""
        self.assertKept("/ip4/1.2.3.4/tcp/4443", "/ip6/2a00::1/udp/1/quic-v1")

    def test_some_of_them(self):
        """What is not wanted is left out, and what is stays, in its order: the topic serves every zone."""
        good, bad = f"/dns4/{PUBLIC}.{ZONE}{WSS}", f"/dns4/{PUBLIC}.example.com{WSS}"
        self.assertEqual(kept(self.wanted, bad, good, "/ip4/1.2.3.4/tcp/1"), [good, "/ip4/1.2.3.4/tcp/1"])


class PrivateTests(SynchronousTestCase):
    def test_private_addresses(self):
        """A public listener ignores what only a few can reach, whether it is written out or spelt by a name."""
        cid = BEHIND.to_cid_base36()
        for private in ("127.0.0.1", "10.1.2.3", "::1", "fe80::1", "::ffff:127.0.0.1"):
            ip = ip_address(private)
            label = autotls_label_for_address(ip)
            for address in (
                f"/ip{ip.version}/{private}/tcp/1",
                f"/dns{ip.version}/ip{ip.version}{label.removeprefix('0')}.{ZONE}{WSS}",
                f"/dns{ip.version}/{label}.{cid}.{ZONE}{WSS}",
            ):
                self.assertEqual(kept(Wanted(allow_private=False), address), [], address)
                self.assertEqual(len(kept(Wanted(), address)), 1, address)

    def test_public_addresses(self):
        """What everybody can reach is wanted, and a name of which only its DNS server knows where it leads."""
        for address in ("/ip4/1.2.3.4/tcp/1", f"/dns4/{PUBLIC}.{ZONE}{WSS}", "/dns4/example.com/tcp/1"):
            self.assertEqual(kept(Wanted(allow_private=False), address), [address])


class GarbageTests(SynchronousTestCase):
    @given(st.lists(st.binary(max_size=60).map(lambda name: b"\x36" + bytes([len(name)]) + name), max_size=3))
    def test_names_of_every_kind(self, parts):
        """Nothing is raised, and nothing else comes out than went in."""
        try:
            address = Multiaddr.from_bytes(b"".join(parts))
        except Libp2pError:
            return
        for wanted in (Wanted(), Wanted(frozenset({ZONE, "x"}), allow_private=False)):
            left = wanted.of(Announcement(AUTHOR, AUTHOR, (address,)))
            self.assertIn(left, (None, Announcement(AUTHOR, AUTHOR, (address,))))


class DialTests(SynchronousTestCase):
    """Where a host that hears of a peer dials it by itself."""

    def dialled(self, address, allow_private=False):
        place = Wanted(allow_private=allow_private).to_dial(Multiaddr.parse(address))
        return None if place is None else str(place)

    def test_no_name_is_looked_up(self):
        """The IP address that it spells is dialled, and TLS asks for the name; what spells none is not dialled."""
        name = f"{PUBLIC}.evil.example"
        for address, expected in (
            (f"/dns4/{name}/tcp/1/tls/ws", f"/ip4/1.2.3.4/tcp/1/tls/sni/{name}/ws"),
            (f"/dns4/{name}/tcp/1/wss", f"/ip4/1.2.3.4/tcp/1/tls/sni/{name}/ws"),
            (f"/dns4/{name}/tcp/1", "/ip4/1.2.3.4/tcp/1"),
            (f"/dns6/ip62a00--1.{ZONE}/tcp/1/tls/sni/b.example/ws", "/ip6/2a00::1/tcp/1/tls/sni/b.example/ws"),
            (f"/dns4/{name}/tcp/1/tls/ws/p2p/{AUTHOR}", f"/ip4/1.2.3.4/tcp/1/tls/sni/{name}/ws/p2p/{AUTHOR}"),
            ("/ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/tcp/1"),
            ("/dns4/localhost/tcp/6379", None),
            ("/dns4/x.evil.example/tcp/6379", None),
        ):
            self.assertEqual(self.dialled(address), expected)

    def test_closed_networks(self):
        """Where private peers are wanted, names are dialled as they are."""
        self.assertEqual(self.dialled("/dns4/node.lan/tcp/1", allow_private=True), "/dns4/node.lan/tcp/1")
