"""Which addresses are dialled, and as what; what is not dialled is in tests.negative.test_checks."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.addresses import is_public
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import CheckFault
from nodetrust.names import label_for_address, label_for_peer
from nodetrust.reachability.decide import (
    BROWSERS_PORTS,
    FIRST_FREE_PORT,
    WEB_PORTS,
    Asker,
    Dial,
    Rules,
    decide,
    spelled_ip,
)
from nodetrust.reachability.errors import Refusal
from tests.reachability.support import ASKER, OTHER, ZONE, wss

V4, V6 = ip_address("8.8.8.8"), ip_address("2606:4700::1111")
HERE = ip_address("9.9.9.9")
RULES = Rules(ZONE)


def decided(address: str, ip: object = V4, rules: Rules = RULES, here: object = HERE) -> str:
    """The address that is dialled, without its peer; or why none is."""
    [one] = decide([bytes(Multiaddr.parse(address))], Asker(ASKER, ip, here), rules)
    return str(one.address) if isinstance(one, Dial) else one.message


class DecideTests(SynchronousTestCase):
    """`decide`."""

    def test_forms(self) -> None:
        """Every form of a WSS address of the asker's own; the IP address is dialled, the name is said in TLS."""
        for text, dialled in (
            (f"/dns4/ip48-8-8-8.{ZONE}/tcp/4443/tls/ws", f"/ip4/8.8.8.8/tcp/4443/tls/sni/ip48-8-8-8.{ZONE}/ws"),
            (f"/dns4/ip48-8-8-8.{ZONE}/tcp/4443/wss", f"/ip4/8.8.8.8/tcp/4443/tls/sni/ip48-8-8-8.{ZONE}/ws"),
            (f"/dns/ip48-8-8-8.{ZONE}/tcp/443/tls/ws", f"/ip4/8.8.8.8/tcp/443/tls/sni/ip48-8-8-8.{ZONE}/ws"),
            ("/dns4/IP48-8-8-8.NT.example.org/tcp/80/wss", f"/ip4/8.8.8.8/tcp/80/tls/sni/ip48-8-8-8.{ZONE}/ws"),
            (f"/dns4/ip48-8-8-8.{ZONE}/wss", f"/ip4/8.8.8.8/tcp/443/tls/sni/ip48-8-8-8.{ZONE}/ws"),
            ("/ip4/8.8.8.8/tcp/4443/tls/ws", "/ip4/8.8.8.8/tcp/4443/tls/ws"),
            (
                f"/ip4/8.8.8.8/tcp/1024/tls/sni/ip48-8-8-8.{ZONE}/ws",
                f"/ip4/8.8.8.8/tcp/1024/tls/sni/ip48-8-8-8.{ZONE}/ws",
            ),
        ):
            self.assertEqual(decided(f"{text}/p2p/{ASKER}"), dialled, text)

    def test_ipv6(self) -> None:
        """The same, for an asker that comes over IPv6."""
        name = f"{label_for_address(V6)}.{ZONE}"
        for text in (f"/dns6/{name}/tcp/1234/wss", f"/dns/{name}/tcp/1234/tls/ws"):
            self.assertEqual(
                decided(f"{text}/p2p/{ASKER}", V6), f"/ip6/2606:4700::1111/tcp/1234/tls/sni/{name}/ws", text
            )

    def test_below_the_peer(self) -> None:
        """A name below the peer's own, and below any other, is one that our DNS servers answer."""
        for between in (label_for_peer(ASKER), "a.b.c"):
            name = f"ip48-8-8-8.{between}.{ZONE}"
            self.assertIn(f"/sni/{name}/ws", decided(wss(f"dns4/{name}")))

    def test_autotls(self) -> None:
        """Its names spell an address in front of a peer's CID, and nowhere else."""
        cid = ASKER.to_cid_base36()
        name = f"8-8-8-8.{cid}.{ZONE}"
        for form in (f"dns4/{name}/tcp/4443/tls/ws", f"ip4/8.8.8.8/tcp/4443/tls/sni/{name}/ws"):
            self.assertEqual(decided(f"/{form}/p2p/{ASKER}"), f"/ip4/8.8.8.8/tcp/4443/tls/sni/{name}/ws")
        for wrong in (f"8-8-8-8.{ZONE}", f"8-8-8-8.a.{ZONE}", f"8-8-8-9.{cid}.{ZONE}", f"a.{cid}.{ZONE}"):
            self.assertIn("spells", decided(wss(f"dns4/{wrong}")))

    def test_another_peer(self) -> None:
        """A peer behind the asker is met under its own ID, at the asker's address."""
        [one] = decide([bytes(Multiaddr.parse(wss("ip4/8.8.8.8", peer=OTHER)))], Asker(ASKER, V4, HERE), RULES)
        self.assertEqual(one.peer, OTHER)

    def test_any_zone(self) -> None:
        """A server that has no zone dials the names of all, if they spell the address."""
        address = wss("dns4/ip48-8-8-8.elsewhere.example")
        self.assertIn("is not in", decided(address))
        self.assertIn("/sni/ip48-8-8-8.elsewhere.example/", decided(address, rules=Rules(None)))
        self.assertIn("spells", decided(wss("dns4/ip48-8-8-9.elsewhere.example"), rules=Rules(None)))

    def test_private(self) -> None:
        """Private askers, and one on the server's own machine, are dialled where the operator wants it."""
        for text in ("127.0.0.1", "10.0.0.1", "100.64.0.1"):
            address = wss(f"ip4/{text}")
            self.assertIn("not a public address", decided(address, ip_address(text)))
            dialled = decided(address, ip_address(text), Rules(ZONE, allow_private=True), ip_address(text))
            self.assertEqual(dialled, f"/ip4/{text}/tcp/4443/tls/ws")

    def test_own_machine(self) -> None:
        """Who comes from the server's own address would have it dial past its firewall."""
        self.assertIn("where this server is", decided(wss("ip4/8.8.8.8"), here=V4))

    def test_ports(self) -> None:
        """Web ports, and those that browsers dial from 1024 on; of all 65536 no other."""
        allowed = {
            port for port in range(65536) if decided(wss("ip4/8.8.8.8", port)) == f"/ip4/8.8.8.8/tcp/{port}/tls/ws"
        }
        self.assertEqual(allowed, {*WEB_PORTS, *range(FIRST_FREE_PORT, 65536)} - BROWSERS_PORTS)

    def test_number(self) -> None:
        """None and nine are refused; each of eight is decided by itself, in the order of the request."""
        good, bad = bytes(Multiaddr.parse(wss("ip4/8.8.8.8"))), b"\xff"
        asker = Asker(ASKER, V4, HERE)
        for addresses in ([], [good] * 9):
            self.assertRaises(Refusal, decide, addresses, asker, RULES)
        decisions = decide([good, bad] * 4, asker, RULES)
        self.assertEqual([isinstance(one, Dial) for one in decisions], [True, False] * 4)
        self.assertEqual({one.fault for one in decisions[1::2]}, {CheckFault.NOT_ALLOWED})

    @given(st.binary(max_size=300), st.ip_addresses())
    @example(bytes(Multiaddr.parse(wss("ip4/8.8.8.8"))), V4)
    def test_nothing_else(self, address: bytes, ip: object) -> None:
        """Whatever the bytes, there is an answer, and what is dialled is the asker's public address."""
        [one] = decide([address], Asker(ASKER, ip, HERE), RULES)
        if isinstance(one, Dial):
            self.assertEqual(spelled_ip(one.address), ip)
            self.assertTrue(is_public(ip))

    @given(
        st.sampled_from(["ip4", "ip6", "dns4", "dns6", "dns"]),
        st.ip_addresses(),
        st.sampled_from([ZONE, f"x.{ZONE}", "evil.example"]),
        st.integers(0, 65535),
        st.sampled_from(["/tls/ws", "/wss", "/ws", "", "/tls/sni/ip48-8-8-8.nt.example.org/ws"]),
    )
    def test_nothing_else_well_formed(self, kind: str, ip: object, zone: str, port: int, layers: str) -> None:
        """The same for well-formed addresses of anybody's: none leads to another host than the asker's."""
        family = 4 if kind.endswith("4") else 6 if kind.endswith("6") else ip.version
        if ip.version != family and kind.startswith("ip"):
            return
        host = str(ip) if kind.startswith("ip") else f"{label_for_address(ip)}.{zone}"
        address = bytes(Multiaddr.parse(f"/{kind}/{host}/tcp/{port}{layers}/p2p/{OTHER}"))
        for asker in (V4, ip):
            [one] = decide([address], Asker(ASKER, asker, HERE), RULES)
            if isinstance(one, Dial):
                self.assertEqual((spelled_ip(one.address), ip), (asker, asker))


class SpelledTests(SynchronousTestCase):
    """`spelled_ip`."""

    def test_addresses_and_names(self) -> None:
        """An IP address is itself, a name what its first label says; all else spells nothing."""
        for text, expected in (
            ("/ip4/8.8.8.8/tcp/1", V4),
            ("/ip6/2606:4700::1111/tcp/1", V6),
            ("/dns/ip48-8-8-8.a.example/tcp/1", V4),
            ("/dns6/ip62606-4700--1111.a.example/tcp/1", V6),
            ("/dns4/a.example/tcp/1", None),
            ("/tcp/1", None),
        ):
            self.assertEqual(spelled_ip(Multiaddr.parse(text)), expected, text)
