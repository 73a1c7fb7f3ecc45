"""Tests for nodetrust.libp2p.transports.resolve."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.names import dns
from twisted.names.error import DNSNameError
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import DialError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports.address import TransportAddress
from nodetrust.libp2p.transports.resolve import MAX_ADDRESSES, resolve


class Resolver:
    """Knows one name; answers with a CNAME in front, as resolvers do."""

    def __init__(self, four: list[str], six: list[str]) -> None:
        self.four = [dns.RRHeader("a.example", dns.A, payload=dns.Record_A(address)) for address in four]
        self.six = [dns.RRHeader("a.example", dns.AAAA, payload=dns.Record_AAAA(address)) for address in six]

    def _answer(self, name: str, records: list[dns.RRHeader]) -> Deferred[Any]:
        alias = dns.RRHeader("a.example", dns.CNAME, payload=dns.Record_CNAME("b.example"))
        return succeed(([alias, *records], [], [])) if name == "a.example" else fail(DNSNameError())

    def lookupAddress(self, name: str, timeout: object) -> Deferred[Any]:
        return self._answer(name, self.four)

    def lookupIPV6Address(self, name: str, timeout: object) -> Deferred[Any]:
        return self._answer(name, self.six)


class System:
    """The reactor's resolver: several answers, possibly none."""

    def __init__(self, *hosts: str) -> None:
        self.hosts = hosts
        self.asked: list[tuple[str, object]] = []

    def resolveHostName(self, receiver: Any, name: str, portNumber: int = 0, addressTypes: Any = None) -> object:
        self.asked.append((name, addressTypes))
        receiver.resolutionBegan(self)
        for host in self.hosts:
            receiver.addressResolved((IPv6Address if ":" in host else IPv4Address)("TCP", host, 0))
        receiver.resolutionComplete()
        return self


class ResolveTests(SynchronousTestCase):
    """From names to addresses."""

    def resolve(self, text: str, resolver: Resolver | None, system: System | None = None) -> Deferred[list[str]]:
        target = TransportAddress.from_multiaddr(Multiaddr.parse(text))
        return Deferred.fromCoroutine(resolve(target, resolver, system))

    def test_kinds(self) -> None:
        """dns4 asks for A, dns6 for AAAA, dns for both; an IP address is itself."""
        resolver = Resolver(["192.0.2.1", "192.0.2.2"], ["2001:db8::1"])
        for text, hosts in (
            ("/dns4/a.example/tcp/1", ["192.0.2.1", "192.0.2.2"]),
            ("/dns6/a.example/tcp/1", ["2001:db8::1"]),
            ("/dns/a.example/tcp/1", ["2001:db8::1", "192.0.2.1", "192.0.2.2"]),
            ("/ip4/192.0.2.9/tcp/1", ["192.0.2.9"]),
        ):
            self.assertEqual(hosts, self.successResultOf(self.resolve(text, resolver)), text)

    def test_one_kind_missing(self) -> None:
        """For dns, addresses of one kind are enough."""
        self.assertEqual(
            ["192.0.2.1"], self.successResultOf(self.resolve("/dns/a.example/wss", Resolver(["192.0.2.1"], [])))
        )

    def test_nothing(self) -> None:
        """A name that does not exist, or has no address of the kind, can't be dialed."""
        for text in ("/dns4/other.example/tcp/1", "/dns6/a.example/tcp/1"):
            self.failureResultOf(self.resolve(text, Resolver(["192.0.2.1"], [])), DialError)

    def test_many(self) -> None:
        """A name with many addresses is dialed at some of them only, each once."""
        resolver = Resolver(["192.0.2.1"] * 3 + [f"192.0.2.{n}" for n in range(1, 50)], [])
        found = self.successResultOf(self.resolve("/dns4/a.example/tcp/1", resolver))
        self.assertEqual([f"192.0.2.{n}" for n in range(1, MAX_ADDRESSES + 1)], found)

    def test_system(self) -> None:
        """Without a resolver of ours the reactor is asked, for the same kinds."""
        system = System("192.0.2.1")
        self.assertEqual(["192.0.2.1"], self.successResultOf(self.resolve("/dns4/a.example/tcp/1", None, system)))
        self.assertEqual([("a.example", [IPv4Address])], system.asked)
        self.failureResultOf(self.resolve("/dns/a.example/tcp/1", None, System()), DialError)

    def test_given_up(self) -> None:
        """Whoever stops to wait gets the cancellation as it is, and no look-up is left that fails unseen."""
        asked: list[Deferred[Any]] = []

        class Silent(Resolver):
            def _answer(self, name: str, records: list[dns.RRHeader]) -> Deferred[Any]:
                asked.append(Deferred())
                return asked[-1]

        waiting = self.resolve("/dns/a.example/tcp/1", Silent([], []))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertTrue(len(asked) == 2 and all(one.called for one in asked))
