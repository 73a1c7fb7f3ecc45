"""Answers for the page's files."""

import gzip

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Site

from nodetrust.page import HEADERS, About, PageFiles, PageResource
from nodetrust.page.resource import CHUNK_BYTES, FOR_EVER

SCRIPT = bytes(range(256)) * 400
FILES = {"index.html": b"{{zone}}", "main-1.js": SCRIPT, "icon-2.svg": b"<svg/>"}
ABOUT = About(zone="nt.test", peer="p", addresses=(), issuer=(), topic="t")


class ResourceTests(SynchronousTestCase):
    """Over one channel of a site."""

    def setUp(self) -> None:
        site = Site(PageResource(PageFiles(FILES), lambda: ABOUT), reactor=Clock())
        self.channel = site.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
        self.transport = StringTransport()
        self.channel.makeConnection(self.transport)

    def ask(self, request: bytes, *headers: bytes) -> tuple[str, dict[str, str], bytes]:
        """The status, the headers and the body of the answer."""
        self.transport.clear()
        self.channel.dataReceived(b"\r\n".join([request + b" HTTP/1.1", b"Host: x", *headers, b"", b""]))
        return self.answer()

    def answer(self) -> tuple[str, dict[str, str], bytes]:
        head, _, body = self.transport.value().partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        return lines[0].partition(" ")[2], dict(line.split(": ", 1) for line in lines[1:]), body

    def test_octets_that_are_no_text(self) -> None:
        """In any header of a request: they ask for nothing."""
        status, headers, body = self.ask(b"GET /main-1.js", b"Accept-Encoding: \xff")
        self.assertEqual((status, "Content-Encoding" in headers, body), ("200 OK", False, SCRIPT))

    def test_files(self) -> None:
        """Each file with its type and length, and for how long it may be kept."""
        for path, kind, kept, expected in (
            (b"/", "text/html; charset=utf-8", "no-store", b"nt.test"),
            (b"/main-1.js", "text/javascript; charset=utf-8", FOR_EVER, SCRIPT),
            (b"/icon-2.svg", "image/svg+xml", FOR_EVER, b"<svg/>"),
        ):
            status, headers, body = self.ask(b"GET " + path)
            self.assertEqual((status, headers["Content-Type"], body), ("200 OK", kind, expected))
            self.assertEqual((headers["Cache-Control"], headers["Content-Length"]), (kept, str(len(expected))))
            self.assertEqual(headers | HEADERS | {"Cache-Control": kept}, headers)

    def test_policy(self) -> None:
        """The page may load what is its own, and open secure WebSockets; nothing else, and nobody frames it."""
        _, headers, _ = self.ask(b"GET /")
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        self.assertEqual(policy["default-src"], "'none'")
        self.assertEqual(policy["connect-src"], "'self' wss:")
        self.assertEqual({policy[name] for name in ("script-src", "style-src")}, {"'self'"})
        self.assertEqual({policy[name] for name in ("base-uri", "form-action", "frame-ancestors")}, {"'none'"})

    def test_compressed(self) -> None:
        """For who takes it, and caches know on what it depends."""
        for header, zipped in ((b"gzip", True), (b"br, GZIP;q=0.5", True), (b"br", False), (b"xgzip", False)):
            _, headers, body = self.ask(b"GET /main-1.js", b"Accept-Encoding: " + header)
            self.assertEqual(
                (headers.get("Content-Encoding"), headers["Vary"]), ("gzip" if zipped else None, "Accept-Encoding")
            )
            self.assertEqual(gzip.decompress(body) if zipped else body, SCRIPT)

    def test_head(self) -> None:
        """The same headers, and no body."""
        for path in (b"/", b"/main-1.js"):
            _, expected, body = self.ask(b"GET " + path)
            status, headers, nothing = self.ask(b"HEAD " + path)
            self.assertEqual((status, nothing), ("200 OK", b""))
            self.assertEqual(headers["Content-Length"], str(len(body)))
            self.assertEqual(headers["Content-Type"], expected["Content-Type"])

    def test_nothing_else(self) -> None:
        """No other file, and no other method."""
        for path in (b"/index.html", b"//", b"/main-1.js/", b"/../main-1.js", b"/%2e%2e/x", b"/__init__.py"):
            status, headers, body = self.ask(b"GET " + path)
            self.assertEqual((status, body), ("404 Not Found", b"not found\n"), path)
            self.assertEqual(headers | HEADERS, headers)
        status, headers, _ = self.ask(b"BREW /main-1.js")
        self.assertEqual((status, headers["Allow"]), ("405 Method Not Allowed", "GET, HEAD"))

    def slow(self) -> None:
        """Ask for a large file, over a connection that takes one write at a time."""
        self.setUp()
        write = self.transport.write

        def full(data: bytes) -> None:
            write(data)
            self.transport.producer.pauseProducing()

        self.transport.write = full  # type: ignore[method-assign]
        self.channel.dataReceived(b"GET /main-1.js HTTP/1.1\r\nHost: x\r\n\r\n")

    def test_slow_readers(self) -> None:
        """A large file is written as fast as it is taken."""
        self.slow()
        for written in range(CHUNK_BYTES, len(SCRIPT), CHUNK_BYTES):
            self.assertEqual(len(self.answer()[2]), written)
            self.transport.producer.resumeProducing()
        self.assertEqual(self.answer()[2], SCRIPT)

    def test_who_goes(self) -> None:
        """Whoever goes meanwhile gets no more, and nothing is logged."""
        self.slow()
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(self.answer()[2]), CHUNK_BYTES)
