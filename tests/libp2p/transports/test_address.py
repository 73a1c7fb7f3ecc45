"""Tests for nodetrust.libp2p.transports.address."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports.address import TransportAddress, socket_multiaddr
from nodetrust.libp2p.transports.errors import UnsupportedAddress


def target(text: str) -> TransportAddress:
    return TransportAddress.from_multiaddr(Multiaddr.parse(text))


class TransportAddressTests(SynchronousTestCase):
    """Multiaddrs taken apart."""

    def test_forms(self) -> None:
        """Every form that the specifications allow, and what it means."""
        for text, host, port, websocket, tls, server_name in (
            ("/ip4/1.2.3.4/tcp/4001", "1.2.3.4", 4001, False, False, "1.2.3.4"),
            ("/ip6/::1/tcp/1/ws", "::1", 1, True, False, "::1"),
            ("/dns4/a.example/tcp/443/tls/ws", "a.example", 443, True, True, "a.example"),
            ("/dns/a.example/wss", "a.example", 443, True, True, "a.example"),
            ("/dns6/a.example/ws", "a.example", 80, True, False, "a.example"),
            ("/ip4/1.2.3.4/tcp/1/tls/sni/b.example/ws", "1.2.3.4", 1, True, True, "b.example"),
        ):
            found = target(text)
            shape = (found.host, found.port, found.websocket, found.tls, found.server_name)
            self.assertEqual((host, port, websocket, tls, server_name), shape, text)

    def test_peer_id_is_ignored(self) -> None:
        """Whose address it is makes no difference here."""
        peer = "/p2p/12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
        self.assertEqual(target("/ip4/1.2.3.4/tcp/1"), target(f"/ip4/1.2.3.4/tcp/1{peer}"))

    def test_unsupported(self) -> None:
        """Anything else is refused, TLS without WebSocket too."""
        for text in (
            "/ip4/1.2.3.4",
            "/ip4/1.2.3.4/udp/1/quic-v1",
            "/ip4/1.2.3.4/tcp/1/tls",
            "/ip4/1.2.3.4/tcp/1/ws/tls",
            "/ip4/1.2.3.4/tcp/1/sni/a.example/ws",
            "/tcp/1",
            "/dns4/a.example/tcp/1/p2p-circuit",
        ):
            with self.assertRaises(UnsupportedAddress, msg=text):
                target(text)

    def test_at(self) -> None:
        """An actual address has the actual port and the modern spelling."""
        for text, actual in (
            ("/ip4/1.2.3.4/tcp/0", "/ip4/1.2.3.4/tcp/9"),
            ("/ip4/1.2.3.4/tcp/0/wss", "/ip4/1.2.3.4/tcp/9/tls/ws"),
            ("/ip4/1.2.3.4/tcp/0/tls/sni/*.b.example/ws", "/ip4/1.2.3.4/tcp/9/tls/sni/*.b.example/ws"),
        ):
            self.assertEqual(actual, str(target(text).at(9)))


class SocketMultiaddrTests(SynchronousTestCase):
    """The address of a socket."""

    def test_mapped(self) -> None:
        """An IPv4 address mapped into IPv6 is an IPv4 address; a zone is left out."""
        for address, text in (
            (IPv4Address("TCP", "1.2.3.4", 5), "/ip4/1.2.3.4/tcp/5/ws"),
            (IPv6Address("TCP", "::ffff:1.2.3.4", 5), "/ip4/1.2.3.4/tcp/5/ws"),
            (IPv6Address("TCP", "fe80::1%eth0", 5), "/ip6/fe80::1/tcp/5/ws"),
        ):
            self.assertEqual(text, str(socket_multiaddr(address, "/ws")))

    def test_no_socket(self) -> None:
        """Other kinds of address are refused."""
        with self.assertRaises(UnsupportedAddress):
            socket_multiaddr(UNIXAddress(b"/x"))
