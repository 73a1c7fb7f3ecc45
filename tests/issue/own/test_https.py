"""The pages, and the limits of the listener."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from nodetrust.challenges.servers import DnsServerState
from nodetrust.issue.own.health import Health, summary
from nodetrust.issue.own.pages import BOUNDS, BodilessRequest, Pages
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.page import HEADERS, About, PageFiles, PageResource
from nodetrust.store import StoreError
from nodetrust.web.listener import IDLE_SECONDS, MAX_HEADERS, MAX_REQUEST_BYTES, Guarded, site_for
from tests.libp2p.throwaway_ca import ThrowawayCa

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PEER = PrivateKey.from_seed(b"p" * 32).peer_id
WELL = DnsServerState(PEER, answers=True, trouble="", pending=0)
ILL = DnsServerState(PEER, answers=False, trouble="secret words", pending=3)


GONE = Failure(ConnectionDone())


class Socket(StringTransport):
    """One of TCP."""

    def setTcpNoDelay(self, enabled):
        """Nothing to delay here."""


class NoPage(Resource):
    """Is never asked for."""


class PagesTests(SynchronousTestCase):
    """Without TLS, on one channel of the site."""

    def setUp(self):
        self.clock = Clock()
        self.report = {"ok": True}

    async def reports(self):
        if isinstance(self.report, Exception):
            raise self.report
        if isinstance(self.report, Deferred):
            return await self.report
        return self.report

    def open(self):
        about = About(zone="nt.test", peer="<peer>", addresses=("/dns/a",), issuer=(), topic="t")
        page = PageResource(PageFiles({"index.html": b"{{zone}} {{peer}} {{addresses}}"}), lambda: about)
        site = site_for(self.clock, Pages(page, self.reports), BodilessRequest)
        channel = site.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
        self.transport = Socket()
        channel.makeConnection(self.transport)
        return channel

    def ask(self, request):
        """The status, the headers, and the body of the answer to a request."""
        channel = self.open()
        channel.dataReceived(request)
        return self.read()

    def read(self):
        head, _, body = self.transport.value().partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        return lines[0].partition(" ")[2], dict(line.split(": ", 1) for line in lines[1:]), body

    def test_the_page(self):
        """What this is, for people, with nothing of it taken for markup, and headers that allow little."""
        status, headers, body = self.ask(b"GET /?q=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual((status, headers["Content-Type"]), ("200 OK", "text/html; charset=utf-8"))
        for part in (b"nt.test", b"&lt;peer&gt;", b"<code>/dns/a</code>"):
            self.assertIn(part, body)
        self.assertEqual(headers | HEADERS, headers)

    def test_health(self):
        """JSON, and a status by which a machine sees it."""
        for well, expected in ((True, "200 OK"), (False, "503 Service Unavailable")):
            self.report = {"ok": well}
            status, headers, body = self.ask(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual((status, json.loads(body)), (expected, {"ok": well}))
            self.assertEqual(headers | HEADERS | {"Content-Type": "application/json"}, headers)

    def test_nothing_else(self):
        """No other page, no other method, no body for HEAD."""
        for request, expected in (
            (b"GET /health/", "404 Not Found"),
            (b"GET //", "404 Not Found"),
            (b"GET /../etc/passwd", "404 Not Found"),
            (b"POST /health", "405 Method Not Allowed"),
            (b"BREW /", "405 Method Not Allowed"),
        ):
            status, headers, body = self.ask(request + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(status, expected, request)
            self.assertEqual(headers | HEADERS, headers)
            self.assertNotIn(b"passwd", body)
        for path in (b"/", b"/health"):
            status, _, body = self.ask(b"HEAD " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual((status, body), ("200 OK", b""))

    def test_a_bug(self):
        """It is in the log, and the answer tells nothing of it."""
        self.report = ValueError("secret words")
        with capturedLogs() as logs:
            status, _, body = self.ask(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual((status, body), ("500 Internal Server Error", b"out of order\n"))
        self.assertEqual(len(logs), 1)
        self.flushLoggedErrors(ValueError)

    def test_gone_meanwhile(self):
        """Who has gone when the report is there is not told."""
        self.report = Deferred()
        channel = self.open()
        channel.dataReceived(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        channel.connectionLost(GONE)
        self.report.callback({"ok": True})
        self.assertEqual(self.transport.value(), b"")

    def test_large_requests(self):
        """A body ends the connection, as do too long and too many headers; nothing of it is kept."""
        for request in (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\nx",
            b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nLong: " + b"x" * MAX_REQUEST_BYTES + b"\r\n\r\n",
            b"GET /" + b"x" * MAX_REQUEST_BYTES + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * (MAX_HEADERS + 2),
            b"nonsense\r\n\r\n",
        ):
            channel = self.open()
            channel.dataReceived(request)
            self.assertTrue(self.transport.disconnecting or self.transport.disconnected, request[:60])
            self.assertNotIn(b"200", self.transport.value())

    def test_silence(self):
        """Who says nothing more is dropped."""
        self.open().dataReceived(b"GET / HT")
        self.clock.advance(IDLE_SECONDS)
        self.assertTrue(self.transport.disconnecting)


class LimitsTests(SynchronousTestCase):
    """Connections as they come from the network."""

    def setUp(self):
        self.clock = Clock()
        certificates = CertificateStore()
        certificates.set(["x"], *ThrowawayCa().issue(["x"]))
        self.guarded = self.guard(certificates)
        self.transports = []

    def guard(self, certificates):
        return Guarded(self.clock, site_for(self.clock, Pages(NoPage(), dict), BodilessRequest), BOUNDS, certificates)

    def accept(self, host):
        kind = IPv6Address if ":" in host else IPv4Address
        protocol = self.guarded.buildProtocol(kind("TCP", host, 1))
        if protocol is not None:
            self.transports.append(Socket())
            protocol.makeConnection(self.transports[-1])
        return protocol

    def test_a_life_of_so_long(self):
        """However busy: then the connection is dropped, and its place is free."""
        protocol = self.accept("192.0.2.1")
        self.clock.advance(BOUNDS.connection_seconds)
        self.assertTrue(self.transports[0].disconnected)
        protocol.connectionLost(GONE)
        self.assertEqual(self.guarded.budget.open, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_places(self):
        """A network has a few; when all are taken a newcomer gets the place of the oldest."""
        for _ in range(BOUNDS.connections.connections_per_network):
            self.assertIsNotNone(self.accept("192.0.2.1"))
        self.assertIsNone(self.accept("192.0.2.1"))
        for number in range(BOUNDS.connections.handshakes):
            self.assertIsNotNone(self.accept(f"198.51.100.{number}"))
        self.assertTrue(all(one.disconnected for one in self.transports[: BOUNDS.connections.connections_per_network]))
        self.assertFalse(self.transports[-1].disconnected)

    def test_nonsense(self):
        """What is no handshake is refused, and nothing is logged."""
        self.guarded = self.guard(CertificateStore())
        with capturedLogs() as logs:
            protocol = self.accept("192.0.2.1")
            protocol.dataReceived(b"\x16\x03\x01\x00\x05hello")
        self.assertTrue(self.transports[0].disconnecting or self.transports[0].disconnected)
        self.assertEqual(logs, [])
        protocol.connectionLost(GONE)


class HealthTests(SynchronousTestCase):
    def test_summary(self):
        """It is well if a certificate could be issued; errors in words are not shown."""
        for well, store, cas, dns in (
            (True, True, [("https://a/", 0.0), ("https://b/", 60.0)], [WELL]),
            (False, False, [("https://a/", 0.0)], [WELL]),
            (False, True, [("https://a/", 10.0)], [WELL]),
            (False, True, [("https://a/", 0.0)], [WELL, ILL]),
        ):
            told = summary(store, cas, dns, None, NOW)
            self.assertEqual(told["ok"], well)
            self.assertNotIn("secret", json.dumps(told))

    def test_certificate(self):
        """Its names, and how long it is good."""
        chain = SimpleNamespace(names=frozenset({"b", "a"}), not_after=NOW + timedelta(hours=1))
        told = summary(True, [], [], chain, NOW)["certificate"]
        self.assertEqual((told["names"], told["left_seconds"]), (["a", "b"], 3600))

    def test_the_store_is_asked_now_and_then(self):
        """Who asks for the page often makes it no work."""
        clock, asked, answers = Clock(), [], [1, StoreError("away"), 1]

        class Store:
            async def living_servers(self, now):
                asked.append(now)
                answer = answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer

        health = Health(clock, Store(), SimpleNamespace(states=()), [])
        found = []
        for _ in range(9):
            found.append(self.successResultOf(Deferred.fromCoroutine(health.report(None)))["store"]["answers"])
            clock.advance(2)
        self.assertEqual(found, [True] * 3 + [False] * 3 + [True] * 3)
        self.assertEqual(len(asked), 3)
