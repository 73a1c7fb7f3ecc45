"""Questions to real servers on loopback."""

import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.names import dns
from twisted.names.error import ResolverError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from nodetrust.client.lookup import transport
from nodetrust.client.lookup.errors import InvalidReply, NoReply
from nodetrust.client.lookup.resolver import Resolver, system_resolvers
from nodetrust.client.lookup.transport import ask
from nodetrust.client.lookup.wire import Question, Type
from nodetrust.settings import HostPort
from tests.stub_dns import FAILURE, NO_SUCH_NAME, StubDns

QUESTION = Question("a.example", Type.A)
WAYS = ("UDP", "TCP")


class LookupCase(TestCase):
    timeout = 120

    def stub(self, said: Any, **options: Any) -> HostPort:
        stub = StubDns(reactor, said)
        self.addCleanup(lambda: Deferred.fromCoroutine(stub.stop()))
        return stub.start(**options)

    def closed(self) -> HostPort:
        """A place where nobody listens: TCP's port is taken, and UDP's is as good as sure to be free."""
        bound = socket.socket()
        self.addCleanup(bound.close)
        bound.bind(("127.0.0.1", 0))
        return HostPort("127.0.0.1", bound.getsockname()[1])


class AskTests(LookupCase):
    """`ask`."""

    async def test_both_ways(self) -> None:
        """The same answer over UDP and TCP."""
        place = self.stub({("a.example", dns.A): [dns.Record_A("192.0.2.1", 60)]})
        for over in WAYS:
            told = await ask(reactor, place, QUESTION, over)
            self.assertEqual([str(one.value) for one in told.of(Type.A)], ["192.0.2.1"])

    async def test_nobody_listens(self) -> None:
        """Known at once, over UDP, too."""
        place = self.closed()
        for over in WAYS:
            error = await self.assertFailure(Deferred.fromCoroutine(ask(reactor, place, QUESTION, over)), NoReply)
            self.assertEqual(str(error), "nobody listens there")

    async def test_silence(self) -> None:
        """It ends in time; over UDP the question was sent once more."""
        self.patch(transport, "ANSWER_SECONDS", 0.4)
        self.patch(transport, "RESEND_SECONDS", 0.1)
        silent = _Silent()
        udp = reactor.listenUDP(0, silent, "127.0.0.1")
        self.addCleanup(udp.stopListening)
        tcp = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        self.addCleanup(tcp.stopListening)
        for over, port in zip(WAYS, (udp, tcp), strict=True):
            place = HostPort("127.0.0.1", port.getHost().port)
            error = await self.assertFailure(Deferred.fromCoroutine(ask(reactor, place, QUESTION, over)), NoReply)
            self.assertEqual(str(error), "no answer within 0.4 seconds")
        self.assertEqual(silent.datagrams, 2)

    async def test_garbage(self) -> None:
        """Over UDP anybody can send it, so that it is passed over; over TCP it was the server."""
        self.patch(transport, "ANSWER_SECONDS", 0.4)
        udp = reactor.listenUDP(0, _Babbling(), "127.0.0.1")
        self.addCleanup(udp.stopListening)
        tcp = reactor.listenTCP(0, Factory.forProtocol(_BabblingStream), interface="127.0.0.1")
        self.addCleanup(tcp.stopListening)
        place = HostPort("127.0.0.1", udp.getHost().port)
        error = await self.assertFailure(Deferred.fromCoroutine(ask(reactor, place, QUESTION, "UDP")), NoReply)
        self.assertIn("no answer", str(error))
        self.patch(transport, "ANSWER_SECONDS", 10.0)
        place = HostPort("127.0.0.1", tcp.getHost().port)
        await self.assertFailure(Deferred.fromCoroutine(ask(reactor, place, QUESTION, "TCP")), InvalidReply)


class _Silent(DatagramProtocol):
    datagrams = 0

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.datagrams += 1


class _Babbling(DatagramProtocol):
    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.transport.write(b"babble", addr)


class _BabblingStream(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"\x00\x06babble")


class ResolverTests(LookupCase):
    """`Resolver`."""

    async def test_the_next_where_one_fails(self) -> None:
        """One that is not there, one that fails, and one that knows; what does not exist is an answer as well."""
        good = self.stub({("a.example", dns.A): [dns.Record_A("192.0.2.1", 60)]})
        failing = self.stub({("a.example", dns.A): FAILURE})
        told = await Resolver(reactor, [self.closed(), failing, good]).ask("a.example", Type.A)
        self.assertEqual(len(told.of(Type.A)), 1)
        told = await Resolver(reactor, [failing]).ask("a.example", Type.A)
        self.assertEqual(told.code_name, "SERVFAIL")
        self.assertEqual(len(self.flushLoggedErrors(ResolverError)), 2)  # the stub's
        denying = self.stub({("a.example", dns.A): NO_SUCH_NAME})
        told = await Resolver(reactor, [denying, good]).ask("a.example", Type.A)
        self.assertEqual(told.code_name, "NXDOMAIN")
        resolver = Resolver(reactor, [self.closed()])
        await self.assertFailure(Deferred.fromCoroutine(resolver.ask("a.example", Type.A)), NoReply)

    async def test_truncated(self) -> None:
        """What does not fit into 512 octets is asked for over TCP."""
        place = self.stub({("a.example", dns.TXT): [dns.Record_TXT(b"x" * 200, ttl=60) for _ in range(5)]})
        told = await Resolver(reactor, [place]).ask("a.example", Type.TXT)
        self.assertEqual(len(told.of(Type.TXT)), 5)


class SystemTests(SynchronousTestCase):
    """`system_resolvers`."""

    def test_resolv_conf(self) -> None:
        """The first three addresses; without one, this machine."""
        file = Path(self.mktemp())
        local = (HostPort("127.0.0.1", 53),)
        self.assertEqual(system_resolvers(file), local)
        file.write_text("# nameserver 192.0.2.9\nsearch example\nnameserver\nnameserver none\n")
        self.assertEqual(system_resolvers(file), local)
        hosts = ["192.0.2.1", "2001:db8::1", "fe80::1%eth0", "192.0.2.4"]
        file.write_text("".join(f"nameserver {host}\n" for host in hosts))
        self.assertEqual([place.host for place in system_resolvers(file)], hosts[:3])
