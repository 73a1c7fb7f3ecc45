"""Which addresses a client announces."""

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.announced import certified_name, wss_addresses
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.names import autotls_wildcard, label_for_peer, name_for_address, name_for_peer, wildcard_for_peer

ZONE = "nt.example.org"
PEER = PrivateKey.from_seed(bytes(32)).peer_id
LABEL = label_for_peer(PEER)
FOURTH, SIXTH = ip_address("1.2.3.4"), ip_address("2001:db8::1")
NAMES = frozenset({name_for_peer(PEER, ZONE), name_for_address(FOURTH, ZONE), name_for_address(SIXTH, ZONE)})


def listening(*texts):
    return [Multiaddr.parse(text) for text in texts]


def as_it_is(ip, port):
    """No router in between."""
    return port


class AddressTests(SynchronousTestCase):
    def announced(self, proven, names, places, port=None):
        found = wss_addresses(proven, names, PEER, listening(*places), lambda ip, own: port or own)
        return [str(one.without_peer_id()) for one in found]

    def test_the_documented_form(self):
        """`/dns4/ip41-2-3-4.<zone>/tcp/N/tls/ws/p2p/<id>`."""
        (found,) = wss_addresses([FOURTH], NAMES, PEER, listening("/ip4/0.0.0.0/tcp/4443/tls/ws"), as_it_is)
        self.assertEqual(str(found), f"/dns4/ip41-2-3-4.{ZONE}/tcp/4443/tls/ws/p2p/{PEER}")

    def test_both_families(self):
        """An IPv6 address is announced as dns6, each with the ports that it reaches."""
        places = ("/ip4/0.0.0.0/tcp/4443/tls/ws", "/ip6/2001:db8::1/tcp/4446/tls/ws")
        self.assertEqual(
            self.announced([FOURTH, SIXTH], NAMES, places),
            [f"/dns4/ip41-2-3-4.{ZONE}/tcp/4443/tls/ws", f"/dns6/ip62001-db8--1.{ZONE}/tcp/4446/tls/ws"],
        )

    def test_a_family_that_is_not_listened_on(self):
        """It is not announced; `::` takes both."""
        self.assertEqual(self.announced([SIXTH], NAMES, ("/ip4/0.0.0.0/tcp/1/tls/ws",)), [])
        self.assertEqual(len(self.announced([FOURTH, SIXTH], NAMES, ("/ip6/::/tcp/1/tls/ws",))), 2)
        self.assertEqual(self.announced([FOURTH], NAMES, ("/ip6/2001:db8::1/tcp/1/tls/ws",)), [])

    def test_a_forwarded_port(self):
        """It stands in place of the ports that are listened on, once."""
        places = ("/ip4/10.0.0.1/tcp/1/tls/ws", "/ip4/10.0.0.2/tcp/2/tls/ws")
        self.assertEqual(self.announced([FOURTH], NAMES, places, 443), [f"/dns4/ip41-2-3-4.{ZONE}/tcp/443/tls/ws"])

    def test_a_port_for_one_family(self):
        """A router maps a port of IPv4; IPv6 has none in between."""
        found = wss_addresses(
            [FOURTH, SIXTH],
            NAMES,
            PEER,
            listening("/ip6/::/tcp/1/tls/ws"),
            lambda ip, port: 7 if ip == FOURTH else port,
        )
        self.assertEqual([one.get("tcp") for one in found], ["7", "1"])

    def test_a_node_behind(self):
        """The certificate is ours, and whom others meet is the node."""
        node = PrivateKey.generate().peer_id
        names = {wildcard_for_peer(PEER, ZONE)}
        (found,) = wss_addresses([FOURTH], names, PEER, listening("/ip4/0.0.0.0/tcp/1/tls/ws"), as_it_is, peer=node)
        self.assertEqual(str(found), f"/dns4/ip41-2-3-4.{LABEL}.{ZONE}/tcp/1/tls/ws/p2p/{node}")

    def test_below_the_peer(self):
        """With a wildcard the name is below the peer's; an address of its own goes first."""
        wildcard = wildcard_for_peer(PEER, ZONE)
        self.assertEqual(certified_name(FOURTH, PEER, {wildcard}), f"ip41-2-3-4.{LABEL}.{ZONE}")
        self.assertEqual(certified_name(FOURTH, PEER, {wildcard, *NAMES}), f"ip41-2-3-4.{ZONE}")

    def test_autotls(self):
        """Its names have a short form and, for who would not look the name up, a long one."""
        places = ("/ip6/::/tcp/4443/tls/ws",)
        found = self.announced([FOURTH, SIXTH], {autotls_wildcard(PEER, "libp2p.direct")}, places)
        name = f"{PEER.to_cid_base36()}.libp2p.direct"
        self.assertEqual(
            found,
            [
                f"/dns4/1-2-3-4.{name}/tcp/4443/tls/ws",
                f"/ip4/1.2.3.4/tcp/4443/tls/sni/1-2-3-4.{name}/ws",
                f"/dns6/2001-db8--1.{name}/tcp/4443/tls/ws",
                f"/ip6/2001:db8::1/tcp/4443/tls/sni/2001-db8--1.{name}/ws",
            ],
        )

    def test_autotls_of_another_peer(self):
        """Its wildcard is no help."""
        other = autotls_wildcard(PrivateKey.generate().peer_id, "libp2p.direct")
        self.assertEqual(self.announced([FOURTH], {other}, ("/ip4/0.0.0.0/tcp/1/tls/ws",)), [])

    def test_names_that_do_not_help(self):
        """Another address's, another peer's wildcard, the peer's own."""
        other = wildcard_for_peer(PrivateKey.generate().peer_id, ZONE)
        names = {other, name_for_peer(PEER, ZONE), name_for_address(SIXTH, ZONE)}
        self.assertIsNone(certified_name(FOURTH, PEER, names))
