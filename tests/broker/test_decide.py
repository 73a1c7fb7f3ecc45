"""What is dialled for whom, and what is not."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.addresses import IPV4_SPECIAL, IPV6_SPECIAL
from nodetrust.broker.decide import (
    MAX_ADDRESSES,
    Chosen,
    Named,
    Rules,
    Visit,
    check_lists,
    check_token,
    choose,
    choose_of_name,
)
from nodetrust.broker.errors import Refusal, Tried
from nodetrust.broker.ours import is_ours
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.lists.entries import Entries
from nodetrust.lists.lists import Lists
from nodetrust.lists.prefixes import PrefixSet

PEER = PrivateKey.from_seed(b"p" * 32).peer_id
OTHER = PrivateKey.from_seed(b"o" * 32).peer_id
VISIT = Visit(PEER, (ip_address("45.1.1.1"),))
RULES = Rules()


class ChooseTests(SynchronousTestCase):
    def one(self, address: str, rules: Rules = RULES, visit: Visit = VISIT) -> Chosen | Named | Tried:
        (decision,) = choose([address], visit, rules)
        return decision

    def dialled(self, address: str, rules: Rules = RULES) -> str:
        decision = self.one(address, rules)
        assert isinstance(decision, Chosen), decision
        self.assertEqual(decision.dial.peer, PEER)
        return str(decision.dial.address)

    def refused(self, address: str, rules: Rules = RULES) -> str:
        decision = self.one(address, rules)
        assert isinstance(decision, Tried), decision
        self.assertEqual(decision.fault, "NOT_ALLOWED")
        return decision.message

    def test_what_is_dialled(self) -> None:
        """TCP, WebSocket and WSS at public addresses, without /p2p, which must be the asker's."""
        for address, expected in (
            ("/ip4/45.1.1.1/tcp/4001", "/ip4/45.1.1.1/tcp/4001"),
            (f"/ip4/45.1.1.1/tcp/4001/p2p/{PEER}", "/ip4/45.1.1.1/tcp/4001"),
            ("/ip4/45.1.1.1/tcp/4001/ws", "/ip4/45.1.1.1/tcp/4001/ws"),
            ("/ip4/45.1.1.1/tcp/443/wss", "/ip4/45.1.1.1/tcp/443/tls/ws"),
            ("/ip6/2606:4700::1/tcp/4001", "/ip6/2606:4700::1/tcp/4001"),
            ("/ip4/45.1.1.1/tcp/443/tls/sni/a.b.example/ws", "/ip4/45.1.1.1/tcp/443/tls/sni/a.b.example/ws"),
        ):
            self.assertEqual(self.dialled(address), expected)

    def test_what_is_not(self) -> None:
        """Other transports, other peers' addresses, relays, ports of others, nonsense."""
        for address in (
            "",
            "x",
            "/",
            "/ip4/45.1.1.1",
            "/ip4/45.1.1.1/udp/4001/quic-v1",
            f"/ip4/45.1.1.1/tcp/4001/p2p/{OTHER}",
            f"/ip4/45.1.1.1/tcp/4001/p2p/{OTHER}/p2p-circuit/p2p/{PEER}",
            "/ip4/45.1.1.1/tcp/25",
            "/ip4/45.1.1.1/tcp/0",
            "/ip4/45.1.1.1/tcp/6667",
            "/ip4/45.1.1.1/tcp/65536",
            "/ip4/45.1.1.1/tcp/4001/tls",
            "/unix/etc",
            "/dns/localhost/tcp/4001",
            "/dns/a..b/tcp/4001",
            "/dns/a b.example/tcp/4001",
            "/dns4/127.0.0.1/tcp/4001",
            "/ip4/45.1.1.1/tcp/443/tls/sni/a_b/ws",
            "/dnsaddr/a.example",
            "/ip6zone/eth0/ip6/fe80::1/tcp/4001",
            "/" + "x" * 100_000,
        ):
            self.assertLessEqual(len(self.refused(address)), 300)

    def test_special_addresses(self) -> None:
        """Both ends of every block that is not public; open only where the operator opens it."""
        for block in (*IPV4_SPECIAL, *IPV6_SPECIAL):
            for ip in {block.network.network_address, block.network.broadcast_address}:
                address = f"/ip{ip.version}/{ip}/tcp/4001"
                self.assertIn("not", self.refused(address))
                rules = Rules(allow_networks=(ip_network(f"{ip}/{ip.max_prefixlen}"),))
                if ip.version == 4 or ip.ipv4_mapped is None:
                    self.dialled(address, rules)

    def test_mapped(self) -> None:
        """An IPv4 address in IPv6's clothes is the IPv4 address."""
        self.refused("/ip6/::ffff:127.0.0.1/tcp/4001")
        self.assertEqual(self.dialled("/ip6/::ffff:45.1.1.1/tcp/4001"), "/ip4/45.1.1.1/tcp/4001")

    def test_our_own(self) -> None:
        """Not this machine's addresses, and not where the DNS servers are; in an open network not those ports."""
        ours = ip_address("45.2.2.2")
        self.refused("/ip4/45.2.2.2/tcp/4001", Rules(is_own=lambda ip: ip == ours))
        rules = Rules(own_places=frozenset({(ours, 8953)}))
        self.refused("/ip4/45.2.2.2/tcp/8953", rules)
        self.refused("/ip4/45.2.2.2/tcp/4001", rules)
        is_open = (ip_network("45.2.2.0/24"),)
        rules = replace(rules, is_own=lambda _: True, own_ports=frozenset({8443}), allow_networks=is_open)
        self.refused("/ip4/45.2.2.2/tcp/8953", rules)
        self.refused("/ip4/45.2.2.2/tcp/8443/tls/ws", rules)
        self.dialled("/ip4/45.2.2.2/tcp/4001", rules)
        self.refused("/ip4/45.3.3.3/tcp/4001", rules)

    def test_this_machine(self) -> None:
        """The kernel knows which addresses are its own."""
        for text, expected in (("127.0.0.1", True), ("127.9.9.9", True), ("192.0.2.1", False), ("::1", True)):
            self.assertEqual(is_ours(ip_address(text)), expected, text)

    def test_same_address(self) -> None:
        """Where only the asker's own address counts, no other is dialled."""
        rules = Rules(same_address=True)
        self.dialled("/ip4/45.1.1.1/tcp/4001", rules)
        self.assertIn("45.1.1.1", self.refused("/ip4/45.1.1.2/tcp/4001", rules))

    def test_names(self) -> None:
        """A name is looked up; what it leads to is judged like any other address, and dialled under the name."""
        named = self.one("/dns4/a.example/tcp/443/tls/ws")
        assert isinstance(named, Named)
        found = choose_of_name(named, ["45.1.1.1", "127.0.0.1", "10.0.0.1"], VISIT, RULES)
        self.assertEqual([type(one) for one in found], [Chosen, Tried, Tried])
        assert isinstance(found[0], Chosen)
        self.assertEqual(str(found[0].dial.address), "/ip4/45.1.1.1/tcp/443/tls/sni/a.example/ws")

    def test_how_many(self) -> None:
        """None, or thousands, are refused before one is looked at."""
        for addresses in ([], ["/ip4/45.1.1.1/tcp/4001"] * (MAX_ADDRESSES + 1)):
            self.assertRaises(Refusal, choose, addresses, VISIT, RULES)
        self.assertEqual(len(choose(["/ip4/45.1.1.1/tcp/4001"] * MAX_ADDRESSES, VISIT, RULES)), 1)

    @given(st.text(max_size=80) | st.text("/ip46dnstcws0123456789.:", max_size=60).map("/".__add__))
    def test_garbage(self, address: str) -> None:
        """Any text has a decision, and a dial only ever has a public address."""
        decision = self.one(address)
        if isinstance(decision, Chosen):
            first = decision.dial.address.components[0]
            self.assertIn(first.name, ("ip4", "ip6"))


class AccessTests(SynchronousTestCase):
    def test_token(self) -> None:
        """The whole header is the token, without a word before it."""
        rules = Rules(access_token="secret")
        check_token(rules, "secret")
        check_token(RULES, None)
        for given_token in (None, "", "Bearer secret", "Secret", "secre", "secret ", "sécret"):
            refusal = self.assertRaises(Refusal, check_token, rules, given_token)
            self.assertEqual(
                (refusal.status, str(refusal)), (403, "403 Forbidden: Missing Forge-Authorization header.")
            )

    def test_denied(self) -> None:
        """A client, one on its way, or an address that it names: each is looked at, and an allowlist frees."""
        denied = Entries(PrefixSet(frozenset({ip_network("45.6.0.0/16")})), frozenset({OTHER}))
        rules = Rules(lists=Lists(denied, Entries()))
        address = "/ip4/45.1.1.1/tcp/4001"
        check_lists(rules, VISIT, [address, "nonsense"])
        for visit, addresses, word in (
            (Visit(PEER, (ip_address("45.6.1.1"),)), [], "client IP 45.6.1.1"),
            (Visit(PEER, (ip_address("45.1.1.1"), ip_address("45.6.1.1"))), [], "client IP 45.6.1.1"),
            (Visit(OTHER, VISIT.ips), [address], "client IP 45.1.1.1"),
            (VISIT, [address, "/ip4/45.6.1.1/tcp/4001/ws"], "multiaddr IP 45.6.1.1"),
        ):
            refusal = self.assertRaises(Refusal, check_lists, rules, visit, addresses)
            self.assertEqual(refusal.status, 403)
            self.assertTrue(str(refusal).startswith(f"403 Forbidden: {word} blocked by "), str(refusal))
        named = choose(["/dns4/a.example/tcp/4001"], VISIT, rules)[0]
        assert isinstance(named, Named)
        (found,) = choose_of_name(named, ["45.6.1.1"], VISIT, rules)
        self.assertIsInstance(found, Tried)
