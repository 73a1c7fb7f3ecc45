"""The issue server's own name over loopback: WSS by name with verification, HTTPS, renewal under open connections."""

import json
from datetime import timedelta
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import LogLevel, capturedLogs

from nodetrust.issue.service import IssueService
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.ping import ping
from nodetrust.own.files import NEXT_KEY_FILE, OWN_FILE, load
from nodetrust.service import dial_options
from nodetrust.settings import HostPort, ZoneName
from nodetrust.testing.ca import CASettings
from tests.robustness.attacker import FAREWELL, Attacker, Place, client_hello
from tests.servers import Servers, ServersTestCase, reactor

NAME = "issue.nodetrust.test"
WSS = (Multiaddr.parse("/ip4/127.0.0.1/tcp/0/tls/ws"),)
HTTPS = (HostPort("127.0.0.1", 0),)
LIFE_SECONDS = 9.0
LOOK_SECONDS = 0.05
ZONE_FILE = "@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nns 60 A 127.0.0.1\nissue 60 A 127.0.0.1\n"


class Answer(Protocol):
    """What a server sends until it closes, and the certificate that it showed."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.data = b""
        self.serial = 0
        self.done: Deferred[Answer] = Deferred()

    def connectionMade(self) -> None:
        self.transport.write(self.request)

    def dataReceived(self, data: bytes) -> None:
        self.serial = self.transport.getPeerCertificate().get_serial_number()
        self.data += data

    def connectionLost(self, reason: Any) -> None:
        if reason.check(SSL.Error):
            self.done.errback(reason)
        else:
            self.done.callback(self)


class OwnNameTests(ServersTestCase):
    """An issue server with a name, WSS and HTTPS of its own."""

    async def start_named(self, ca_settings: CASettings | None = None, **issue: Any) -> Servers:
        servers = self.prepare(ca_settings)
        servers.folder.mkdir(parents=True)
        zone_file = servers.folder / "zone"
        zone_file.write_text(ZONE_FILE)
        servers.changes["dns"] = {"zone_file": zone_file, "challenge_names": (ZoneName(NAME),)}
        servers.changes["issue"] = {"own_names": (NAME,), "wss_listen": WSS, "https_listen": HTTPS, **issue}
        await servers.start_servers(lambda step: None)
        return servers

    async def certified(self, service: IssueService, serial: int = 0) -> int:
        """Wait for another certificate than the one with this serial number; its own."""
        while service.own.current is None or service.own.current.chain.leaf.serial_number == serial:
            await deferLater(reactor, LOOK_SECONDS)
        return service.own.current.chain.leaf.serial_number

    def dialer(self, servers: Servers) -> Host:
        """A peer that verifies certificates, and finds names in our DNS server."""
        host = Host(
            reactor, PrivateKey.generate(), **dial_options(reactor, servers.dns_place, servers.ca.root_pem_path)
        )
        self.addCleanup(host.stop)
        return host

    def wss(self, servers: Servers) -> Multiaddr:
        (address,) = [one for one in servers.issue.host.addresses() if "ws" in str(one)]
        return address.with_peer_id(servers.issue.host.peer_id)

    async def get(self, servers: Servers, request: bytes, name: str = NAME) -> Answer:
        """Everything that HTTPS answers, over verified TLS."""
        (listener,) = servers.issue.own.https
        roots = trustRootFromCertificates([Certificate.loadPEM(servers.ca.root_pem_path.read_bytes())])
        endpoint = wrapClientTLS(
            optionsForClientTLS(name, trustRoot=roots), HostnameEndpoint(reactor, b"127.0.0.1", listener.place.port)
        )
        answer = Answer(request)
        await endpoint.connect(Factory.forProtocol(lambda: answer))
        return await answer.done

    async def test_served(self) -> None:
        """The name is dialled over WSS with verification on, and HTTPS says what this is and how it is."""
        servers = await self.start_named()
        serial = await self.certified(servers.issue)
        self.assertEqual(str(self.wss(servers)).split("/p2p/")[0].split("/tcp/")[0], f"/dns/{NAME}")
        connection = await self.dialer(servers).connect([self.wss(servers)])
        await ping(connection, b"p" * 32, reactor)
        ask = b"%s HTTP/1.1\r\nHost: issue.nodetrust.test\r\nConnection: close\r\n\r\n"
        page = await self.get(servers, ask % b"GET /")
        self.assertEqual((page.data.split(b"\r\n")[0], page.serial), (b"HTTP/1.1 200 OK", serial))
        for part in (b"nodetrust.test", str(servers.issue.host.peer_id).encode(), b"/dns/issue.nodetrust.test/tcp/"):
            self.assertIn(part, page.data)
        for header in (b"Content-Security-Policy: default-src 'none'", b"X-Content-Type-Options: nosniff"):
            self.assertIn(header, page.data)
        health = await self.get(servers, ask % b"GET /health")
        self.assertEqual(health.data.split(b"\r\n")[0], b"HTTP/1.1 200 OK")
        report = json.loads(health.data.partition(b"\r\n\r\n")[2])
        self.assertTrue(report["ok"])
        self.assertEqual(report["certificate"]["names"], [NAME])
        self.assertEqual(
            report["dns_servers"], [{"peer": str(servers.dns.host.peer_id), "answers": True, "pending": 0}]
        )
        for request, status in ((b"GET /else", b"404"), (b"POST /", b"405"), (b"HEAD /", b"200")):
            answer = await self.get(servers, ask % request)
            self.assertEqual(answer.data.split()[1], status)
        state = servers.folder / "issue"
        self.assertEqual((state / OWN_FILE).stat().st_mode & 0o777, 0o600)
        self.assertFalse((state / NEXT_KEY_FILE).exists())

    async def test_renewed_under_open_connections(self) -> None:
        """A connection outlives two certificates; each new one sees the newest, without a restart."""
        life = {"default": timedelta(seconds=LIFE_SECONDS)}
        servers = await self.start_named(CASettings(profiles=life))
        newest = await self.certified(servers.issue)
        connection = await self.dialer(servers).connect([self.wss(servers)])
        for _ in range(2):
            newest = await self.certified(servers.issue, newest)
            await ping(connection, b"p" * 32, reactor)
            await self.dialer(servers).connect([self.wss(servers)])
            page = await self.get(servers, b"GET / HTTP/1.0\r\n\r\n")
            self.assertEqual(page.serial, newest)
        self.assertFalse(connection.closed)

    def say(self, data: bytes, place: Place) -> None:
        """Be sent away with it."""
        with Attacker(place) as attacker:
            attacker.send(data)
            attacker.read_to_end()

    async def test_strangers(self) -> None:
        """Garbage, plain HTTP, half a handshake: no line in the log, no socket left, and honest ones are served."""
        servers = await self.start_named()
        await self.certified(servers.issue)
        (listener,) = servers.issue.own.https
        endpoint = HostnameEndpoint(reactor, b"127.0.0.1", listener.place.port)
        garbage = (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x00\x05hello",
            b"\x16\x03\x01\x02\x00\x01",
            bytes(5000),
            FAREWELL,
        )
        with capturedLogs() as logs:
            for number in range(40):
                stranger = await endpoint.connect(Factory.forProtocol(Protocol))
                stranger.transport.write(garbage[number % len(garbage)])
                await deferLater(reactor, 0)
                stranger.transport.abortConnection()
            for goodbye in (FAREWELL, client_hello() + FAREWELL):
                await deferToThread(self.say, goodbye, Place("127.0.0.1", listener.place.port))
            page = await self.get(servers, b"GET / HTTP/1.0\r\n\r\n")
        self.assertEqual(page.data.split(b"\r\n")[0].split(b" ", 1)[1], b"200 OK")
        self.assertEqual([event for event in logs if event["log_level"] >= LogLevel.warn], [])
        while listener._budget.open:
            await deferLater(reactor, LOOK_SECONDS)

    async def test_a_restart(self) -> None:
        """The stored certificate is served at once, and no other one is ordered."""
        servers = await self.start_named()
        serial = await self.certified(servers.issue)
        orders = servers.orders
        await servers.issue.stop()
        again = IssueService(reactor, servers.issue_settings())
        self.addCleanup(lambda: Deferred.fromCoroutine(again.stop()))
        await again.start()
        self.assertEqual(again.own.current.chain.leaf.serial_number, serial)
        self.assertEqual((await deferToThread(load, servers.folder / "issue")).chain.leaf.serial_number, serial)
        self.assertEqual(servers.orders, orders)

    async def test_before_the_first_certificate(self) -> None:
        """TLS is refused, cleanly; the server does the rest of its work, and tries again."""
        servers = await self.start_named(CASettings(refused=(NAME,)))
        with self.assertRaises(SSL.Error):
            await self.get(servers, b"GET / HTTP/1.0\r\n\r\n")
        peer = await self.connected_peer(servers)
        self.assertEqual((await peer.ask(peer.request())).error, 0)
        self.assertIsNone(servers.issue.own.current)
