"""The whole server on loopback: real sockets, Twisted's own client, and a libp2p peer that sets challenges."""

import socket
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.names import client, dns
from twisted.names.error import DNSNameError, DNSQueryRefusedError
from twisted.trial.unittest import TestCase

from nodetrust.discovery import TOPIC, encode_announcement, start_pubsub, watch
from nodetrust.dns.errors import CannotBind, ZoneError
from nodetrust.dns.options import Options, makeService
from nodetrust.dns.service import DnsService
from nodetrust.dns.settings import DnsSettings
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import PubSub
from nodetrust.messages import (
    DNS01_PROTOCOL,
    E_NOT_AUTHORIZED,
    MAX_DNS01_RESPONSE_BYTES,
    OK,
    DNS01Request,
    DNS01Response,
)
from nodetrust.settings import HostPort, SettingsError, ZoneName, build
from tests.dns.challenges.test_table import VALUE

FQDN = "ip41-2-3-4.nt.test"
ANNOUNCED_SECONDS = 30


def deferred(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Deferred[None]]:
    """Let Trial wait for a test that is a coroutine."""

    @wraps(test)
    def run(self: TestCase) -> Deferred[None]:
        return Deferred.fromCoroutine(test(self))

    return run


class ServiceTests(TestCase):
    """`DnsService`, started and asked."""

    timeout = 120

    def settings(self, **changes: Any) -> DnsSettings:
        values: dict[str, Any] = {
            "zone": ZoneName.parse("nt.test"),
            "state": Path(self.mktemp()),
            "listen": (Multiaddr.parse("/ip4/127.0.0.1/tcp/0"),),
            "listen_dns": (HostPort("127.0.0.1", 0),),
        }
        return build(DnsSettings, values | changes)

    async def started(self, **changes: Any) -> tuple[DnsService, client.Resolver]:
        """A server, and a resolver that asks it."""
        service = DnsService(reactor, self.settings(**changes))
        self.addCleanup(lambda: Deferred.fromCoroutine(service.stop()))
        await service.start()
        host, _, port = service.places[0].rpartition(":")
        return service, client.Resolver(servers=[(host.strip("[]"), int(port))])

    async def ask(self, lookup: Callable[..., Awaitable[Any]], *arguments: Any) -> list[Any]:
        answers, _, _ = await lookup(*arguments)
        return [record.payload for record in answers]

    @deferred
    async def test_udp_and_tcp(self) -> None:
        """Twisted's client gets the same answers over UDP and TCP."""
        _, resolver = await self.started()
        self.assertEqual(await self.ask(resolver.lookupAddress, FQDN), [dns.Record_A("1.2.3.4", 3600)])
        self.assertEqual(await self.ask(resolver.lookupIPV6Address, "ip6--1.x.nt.test"), [dns.Record_AAAA("::1", 3600)])
        self.assertEqual(await self.ask(resolver.lookupNameservers, "nt.test"), [dns.Record_NS("ns.nt.test", 3600)])
        self.assertEqual(await self.ask(resolver.lookupAddress, "ns.nt.test"), [dns.Record_A("127.0.0.1", 3600)])
        message = await resolver.queryTCP(
            [dns.Query("ip61--.nt.test", dns.AAAA)],
            timeout=5,
        )
        self.assertEqual([record.payload for record in message.answers], [dns.Record_AAAA("1::", 3600)])
        self.assertTrue(message.auth)
        await self.assertFailure(resolver.lookupAddress("ip4256-1-1-1.nt.test"), DNSNameError)
        await self.assertFailure(resolver.lookupAddress("example.org"), DNSQueryRefusedError)

    @deferred
    async def test_ipv6(self) -> None:
        """The server listens on IPv6 addresses as well, and its default zone names all of them."""
        places = (HostPort("127.0.0.1", 0), HostPort("::1", 0))
        service, resolver = await self.started(listen_dns=places)
        self.assertRegex(service.places[1], r"^\[::1\]:\d+$")
        self.assertEqual(await self.ask(resolver.lookupIPV6Address, "ns.nt.test"), [dns.Record_AAAA("::1", 3600)])
        sixth = client.Resolver(servers=[("::1", int(service.places[1].rpartition(":")[2]))])
        message = await sixth.queryTCP([dns.Query(FQDN, dns.A)], timeout=5)
        self.assertEqual(len(message.answers), 1)

    @deferred
    async def test_challenges_over_libp2p(self) -> None:
        """An admin's value is in the DNS when its OK arrives; a stranger gets E_NOT_AUTHORIZED."""
        issuer, stranger = (Host(reactor, PrivateKey.generate()) for _ in range(2))
        self.addCleanup(issuer.stop)
        self.addCleanup(stranger.stop)
        service, resolver = await self.started(admins=(issuer.peer_id,))
        server = service.host
        assert server is not None
        request = DNS01Request(fqdn=FQDN, value=VALUE).SerializeToString()
        for host, expected, found in (
            (stranger, E_NOT_AUTHORIZED, []),
            (issuer, OK, [dns.Record_TXT(VALUE.encode(), ttl=10)]),
        ):
            await host.connect(server.addresses(), server.peer_id)
            stream = await host.open_messages(server.peer_id, [DNS01_PROTOCOL], MAX_DNS01_RESPONSE_BYTES, 5.0)
            stream.write(request)
            self.assertEqual(DNS01Response.FromString(await stream.read()).error, expected)
            stream.close()
            self.assertEqual(await self.ask(resolver.lookupText, f"_acme-challenge.{FQDN}"), found)

    @deferred
    async def test_announcements_are_relayed(self) -> None:
        """Peers that know nobody but the DNS server hear each other's announcements, also where workers answer."""
        address = Multiaddr.parse("/ip4/192.0.2.1/tcp/443/tls/ws")
        for workers in (1, 2):
            service, _ = await self.started(workers=workers)
            announcer, hearer = await self.peer_of(service), await self.peer_of(service)
            peer, addresses = await self.announced(address, announcer, hearer)
            self.assertEqual(addresses, [address.with_peer_id(peer)])
            await service.stop()

    async def announced(self, address: Multiaddr, announcer: PubSub, hearer: PubSub) -> tuple[PeerId, list[Multiaddr]]:
        """What the hearer hears first, while the announcer says its address every second, as clients do."""
        heard: Deferred[tuple[PeerId, list[Multiaddr]]] = Deferred()
        stop_watching = watch(hearer, lambda peer, addresses: heard.callback((peer, addresses)))
        heard.addBoth(lambda result: stop_watching() or result)
        announcing = LoopingCall(announcer.publish, TOPIC, encode_announcement([address]))
        announcing.start(1.0)
        try:
            return await heard.addTimeout(ANNOUNCED_SECONDS, reactor)
        finally:
            announcing.stop()

    async def peer_of(self, service: DnsService) -> PubSub:
        """Pubsub of a new peer that is connected with the server."""
        host = Host(reactor, PrivateKey.generate())
        self.addCleanup(host.stop)
        assert service.host is not None
        await host.connect(service.host.addresses(), service.host.peer_id)
        pubsub = start_pubsub(host, reactor)
        self.addCleanup(pubsub.stop)
        return pubsub

    @deferred
    async def test_zone_file_and_policy(self) -> None:
        """The settings reach the answers."""
        zone_file = Path(self.mktemp())
        zone_file.write_text("@ 60 SOA ns.x. h.x. 1 2 3 4 5\n@ 60 NS ns.x.\nhost 60 A 192.0.2.5\n")
        _, resolver = await self.started(zone_file=zone_file, addresses="public", ttl=7)
        self.assertEqual(await self.ask(resolver.lookupAddress, "host.nt.test"), [dns.Record_A("192.0.2.5", 60)])
        self.assertEqual(await self.ask(resolver.lookupAddress, "ip410-0-0-1.nt.test"), [])
        self.assertEqual(await self.ask(resolver.lookupAddress, "ip41-1-1-1.nt.test"), [dns.Record_A("1.1.1.1", 7)])

    @deferred
    async def test_stopped(self) -> None:
        """After the stop the port is free again, and connections are closed."""
        service, resolver = await self.started()
        await resolver.queryTCP([dns.Query(FQDN, dns.A)], timeout=5)
        port = int(service.places[0].rpartition(":")[2])
        await service.stop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", port))

    @deferred
    async def test_failures_to_start(self) -> None:
        """A zone file that is refused, or a port that is taken, fails the start in one line."""
        zone_file = Path(self.mktemp())
        zone_file.write_text("@ 60 NS ns.x.\n")
        with self.assertRaises(ZoneError) as refused:
            await self.started(zone_file=zone_file)
        self.assertEqual(str(refused.exception), f"{zone_file}: no SOA record at nt.test")
        with self.assertRaises(ZoneError):
            await self.started(listen_dns=(HostPort("0.0.0.0", 0),))
        service, _ = await self.started()
        taken = HostPort("127.0.0.1", int(service.places[0].rpartition(":")[2]))
        with self.assertRaises(CannotBind) as unbound:
            await self.started(listen_dns=(taken,))
        self.assertEqual(str(unbound.exception), f"cannot listen on {taken} over UDP: Address already in use")

    def test_options(self) -> None:
        """`twistd nodetrust-dns` makes the service from its options; a host name to listen on is refused."""
        options = Options()
        options.parseOptions(["--zone", "NT.test.", "--listen-dns", "[::1]:53", "--addresses", "private"])
        service = makeService(options)
        self.assertIsInstance(service, DnsService)
        self.assertEqual((service.settings.zone, service.settings.listen_dns), ("nt.test", (HostPort("::1", 53),)))
        self.assertRaises(SettingsError, self.settings, listen_dns=(HostPort("localhost", 53),))
        self.assertRaises(SettingsError, self.settings, listen_dns=())
