"""HTTPS over loopback: names, trust, and servers that do not answer."""

from pathlib import Path
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.tcp import Client, Server
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

import nodetrust.client.autotls.shown as shown_module
from nodetrust.certificates import Chain
from nodetrust.client.autotls.agent import https_agent
from nodetrust.client.autotls.errors import BrokerUnreachable, BrokerUntrusted
from nodetrust.client.autotls.https import MAX_BODY_BYTES, Answer, Https
from nodetrust.client.autotls.shown import shown_certificate
from nodetrust.service import read_roots
from tests.interop.certificates import make_certificate
from tests.interop.nameserver import NAME, listen, port_number, resolver

reactor: Any = default_reactor


class Page(Resource):
    """Says what it is told to say."""

    isLeaf = True
    body = b"hello"

    def render(self, request: Any) -> bytes:
        return self.body


class HttpsTests(TestCase):
    """A server with a certificate for one name, which only our DNS server knows."""

    timeout = 120

    def setUp(self) -> None:
        self.files = make_certificate(Path(self.mktemp()), [NAME])
        self.page = Page()
        context = ssl.DefaultOpenSSLContextFactory(str(self.files.key), str(self.files.certificate))
        self.port = port_number(self.listen(reactor.listenSSL(0, Site(self.page), context, interface="127.0.0.1")))
        self.resolver = resolver(port_number(self.listen(listen())))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.all_closed()))

    async def all_closed(self) -> None:
        """A server hears a moment later that its client is gone."""
        while any(isinstance(one, (Client, Server)) for one in reactor.getReaders()):
            await deferLater(reactor, 0.01)

    def listen(self, port: Any) -> Any:
        self.addCleanup(port.stopListening)
        return port

    async def get(self, host: str = NAME, port: int = 0, *, trusted: bool = True, seconds: float = 10.0) -> Answer:
        roots = read_roots("trust_file", self.files.root) if trusted else None
        https = Https(reactor, https_agent(reactor, self.resolver, roots))
        return await https.request("GET", f"https://{host}:{port or self.port}/", {}, None, seconds)

    async def failure(self, *arguments: Any, **options: Any) -> str:
        error = await self.assertFailure(Deferred.fromCoroutine(self.get(*arguments, **options)), BrokerUnreachable)
        return str(error)

    async def test_by_name(self) -> None:
        """The DNS server that one has chosen knows it, and the certificate is for it."""
        answer = await self.get()
        self.assertEqual((answer.status, answer.body), (200, b"hello"))

    async def test_a_name_that_nobody_knows(self) -> None:
        """It is named."""
        self.assertIn("nowhere.test", await self.failure("nowhere.test"))

    async def test_a_certificate_that_is_not_trusted(self) -> None:
        """Of an unknown root, or for another name."""
        for host, trusted in ((NAME, False), ("127.0.0.1", True)):
            error = await self.assertFailure(Deferred.fromCoroutine(self.get(host, trusted=trusted)), BrokerUntrusted)
            self.assertIn("no TLS certificate that is trusted here", str(error))

    async def shown(self, host: str = NAME, port: int = 0) -> frozenset[str]:
        """The names in the certificate that is shown."""
        leaf = await shown_certificate(reactor, self.resolver, f"https://{host}:{port or self.port}")
        return Chain(leaf, ()).names

    async def test_a_certificate_is_looked_at(self) -> None:
        """Whoever has signed it, and for whatever name."""
        self.assertEqual(await self.shown(), {NAME})
        self.assertEqual(await self.shown("127.0.0.1"), {NAME})

    async def test_no_certificate(self) -> None:
        """Of a name that nobody knows, a port that is closed, and a server that speaks something else, or nothing."""
        plain = self.listen(reactor.listenTCP(0, Site(self.page), interface="127.0.0.1"))
        silent = self.listen(reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1"))
        for host, port, seconds, words in (
            ("nowhere.test", self.port, 10.0, "nowhere.test"),
            (NAME, 1, 10.0, "refused"),
            (NAME, port_number(plain), 0.2, ""),
            (NAME, port_number(silent), 0.2, "no certificate within 0.2 seconds"),
        ):
            self.patch(shown_module, "LOOK_SECONDS", seconds)
            looking = Deferred.fromCoroutine(self.shown(host, port))
            self.assertIn(words, str(await self.assertFailure(looking, BrokerUnreachable)))

    async def test_nobody_listens(self) -> None:
        """It is said."""
        self.assertIn("refused", await self.failure(port=1))

    async def test_too_much(self) -> None:
        """The body is cut, and the connection with it."""
        self.page.body = bytes(50 * MAX_BODY_BYTES)
        self.assertEqual(len((await self.get()).body), MAX_BODY_BYTES)
        while any(isinstance(one, Client) for one in reactor.getReaders()):
            await deferLater(reactor, 0.01)

    async def test_silence(self) -> None:
        """One that takes connections and says nothing is given up in time."""
        silent = self.listen(reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1"))
        self.assertIn("no answer within 0.2 seconds", await self.failure(port=port_number(silent), seconds=0.2))
