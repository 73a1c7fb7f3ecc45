"""What a person is told about an address that is not reachable."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import CheckFault
from nodetrust.reachability.advice import Unreachable, advise
from tests.reachability.support import wss

NAME = "ip4203-0-113-7.nt.example.org"
ADDRESS = Multiaddr.parse(wss(f"dns4/{NAME}"))
ADDRESS6 = Multiaddr.parse(wss("dns6/ip62001-db8--7.nt.example.org"))
PLACE = "203.0.113.7:4443"


class AdviceTests(SynchronousTestCase):
    def test_each_fault(self) -> None:
        """Each has one sentence of its own, which names the place and the port, and no other form of it."""
        sentences = {fault: advise(Unreachable(ADDRESS, fault)) for fault in CheckFault.values()}
        self.assertEqual(len(set(sentences.values())), len(CheckFault.keys()))
        for fault, sentence in sentences.items():
            self.assertIn(PLACE, sentence, fault)
            self.assertNotRegex(sentence, r"[{}\n]|\. |\.$", fault)
        self.assertIn(NAME, sentences[CheckFault.TLS_FAILED])

    def test_silence(self) -> None:
        """A firewall or a missing mapping, and what to do about either."""
        said = advise(Unreachable(ADDRESS, CheckFault.TIMED_OUT))
        for part in (PLACE, "firewall", "open TCP port 4443", "forward it to this machine", "--wss-port"):
            self.assertIn(part, said)

    def test_silence_behind_a_mapping(self) -> None:
        """Where the router forwards the port nobody is sent to the router once more."""
        router = ip_address("203.0.113.7")
        said = advise(Unreachable(ADDRESS, CheckFault.TIMED_OUT, mapped=True, router_ip=router))
        self.assertIn("although the router forwards the port", said)
        self.assertNotIn("--wss-port", said)

    def test_silence_over_ipv6(self) -> None:
        """There is nothing to forward."""
        said = advise(Unreachable(ADDRESS6, CheckFault.TIMED_OUT))
        self.assertIn("[2001:db8::7]:4443", said)
        self.assertIn("IPv6", said)
        self.assertNotIn("forward", said)

    def test_another_address_outside(self) -> None:
        """A router that is not where others see us: a carrier's NAT, a second router, another line."""
        for router, part in (
            ("100.64.3.2", "shares among customers"),
            ("192.168.1.2", "second router"),
            ("198.41.0.4", "go out another way"),
        ):
            said = advise(Unreachable(ADDRESS, CheckFault.TIMED_OUT, mapped=True, router_ip=ip_address(router)))
            for each in (part, router, PLACE, "IPv6"):
                self.assertIn(each, said)

    def test_a_router_without_a_public_address(self) -> None:
        """Nobody is sent to it for a mapping; for IPv6 it says nothing."""
        said = advise(Unreachable(ADDRESS, CheckFault.TIMED_OUT, no_public_address=True))
        for part in (PLACE, "no public address itself", "ask the provider", "second router", "IPv6"):
            self.assertIn(part, said)
        self.assertNotIn("open TCP port", said)
        self.assertNotIn("provider", advise(Unreachable(ADDRESS6, CheckFault.TIMED_OUT, no_public_address=True)))

    def test_router_and_ipv6(self) -> None:
        """What a router says of its IPv4 address has no bearing on IPv6."""
        router = ip_address("100.64.3.2")
        self.assertNotIn("100.64", advise(Unreachable(ADDRESS6, CheckFault.TIMED_OUT, router_ip=router)))

    def test_other_forms(self) -> None:
        """An address without a name, and a name that spells nothing."""
        self.assertIn("8.8.8.8:443", advise(Unreachable(Multiaddr.parse("/ip4/8.8.8.8/wss"), CheckFault.TLS_FAILED)))
        said = advise(Unreachable(Multiaddr.parse(wss("dns4/a.example")), CheckFault.TIMED_OUT))
        self.assertIn("a.example:4443", said)
