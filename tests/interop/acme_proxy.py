"""A proxy in front of an ACME CA that does what networks and overloaded CAs do, where a test says so.

`AcmeProxy` passes everything on as it is, at a port and an HTTPS certificate of its own. Pebble makes its URLs of the
Host header, and checks the `url` of a JWS against it, so nothing in between needs to be rewritten. A `Fault` is what
happens to a request instead; they stand at the end. `AcmeProxy.seen` tells who asked for what, and
`AcmeProxy.orders` how often the CA made an order for the same names.
"""

import json
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from tests.interop.certificates import CertificateFiles, make_certificate

PATHS = {
    "/dir": "directory",
    "/nonce-plz": "newNonce",
    "/sign-me-up": "newAccount",
    "/order-plz": "newOrder",
    "/my-account": "account",
    "/list-orderz": "orders",
    "/my-order": "order",
    "/finalize-order": "finalize",
    "/authZ": "authorization",
    "/chalZ": "challenge",
    "/certZ": "certificate",
    "/draft-ietf-acme-ari-03": "renewalInfo",
}
"""Pebble's paths (wfe.go), and what RFC 8555 calls the resource there."""

PASSED_ON = (b"Accept", b"Accept-Language", b"Content-Type", b"User-Agent")
HOP_BY_HOP = {b"connection", b"content-length", b"date", b"keep-alive", b"transfer-encoding"}
HUGE_BYTES = 10_000_000
DELAY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @classmethod
    def problem(cls, status: int, kind: str, retry_after: int | None = None) -> "Answer":
        """A problem document as a CA sends it."""
        document = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": "the proxy says so", "status": status}
        return cls(status, json.dumps(document).encode(), _headers(b"application/problem+json", retry_after))

    @classmethod
    def html(cls, status: int, retry_after: int | None = None) -> "Answer":
        """What a load balancer says in place of the CA."""
        return cls(status, b"<html><h1>Out for lunch</h1></html>", _headers(b"text/html", retry_after))


def _headers(media_type: bytes, retry_after: int | None) -> tuple[tuple[bytes, bytes], ...]:
    later = () if retry_after is None else ((b"Retry-After", b"%d" % retry_after),)
    return ((b"Content-Type", media_type), *later)


@dataclass(frozen=True, slots=True)
class Seen:
    """A request at a time, and by how many seconds it came before what the last Retry-After for its path had named."""

    endpoint: str
    path: str
    at: float
    early_seconds: float


class Exchange:
    """One request, for a fault to deal with."""

    def __init__(self, proxy: "AcmeProxy", request: Any) -> None:
        self.endpoint = endpoint_of(request.path.decode())
        self.body: bytes = request.content.read()
        self.proxy = proxy
        self._request = request

    async def forward(self) -> Answer:
        """Have the CA do it."""
        return await self.proxy.ask_ca(self._request, self.endpoint, self.body)

    def respond(self, answer: Answer, body_bytes: int | None = None) -> None:
        """Answer; with `body_bytes`, end the connection when so many bytes of the body are sent."""
        request = self._request
        if request._disconnected:  # the client was tired of waiting
            return
        request.setResponseCode(answer.status)
        for name, value in answer.headers:
            request.responseHeaders.addRawHeader(name, value)
        request.setHeader(b"Content-Length", b"%d" % len(answer.body))
        if request.method == b"HEAD":
            request.finish()
            return
        request.write(answer.body[:body_bytes])
        if body_bytes is None:
            request.finish()
        else:
            request.channel.loseConnection()

    def drop(self) -> None:
        """End the connection without an answer."""
        if not self._request._disconnected:
            self._request.channel.transport.abortConnection()

    def payload(self) -> dict[str, Any]:
        """What was signed, if it is a JSON object."""
        return _payload(self.body)


Fault = Callable[[Exchange], Awaitable[None]]


class AcmeProxy(Resource):
    """In front of the CA at `origin` (`https://127.0.0.1:14000`); after `start`, clients use `directory` and `root`."""

    isLeaf = True
    log = Logger()

    def __init__(self, reactor: Any, origin: str, ca_root: Path, folder: Path) -> None:
        super().__init__()
        self.directory = ""
        self.seen: list[Seen] = []
        self.orders: Counter[frozenset[str]] = Counter()
        self._reactor = reactor
        self._origin = origin
        roots = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(ca_root.read_bytes())])
        self._pool = HTTPConnectionPool(reactor)
        self._agent = Agent(reactor, BrowserLikePolicyForHTTPS(roots), pool=self._pool)
        self._files = make_certificate(folder / "proxy", ["127.0.0.1"])
        self._contexts = _Contexts(self._files, make_certificate(folder / "impostor", ["127.0.0.1"]))
        self._not_before: dict[str, float] = {}
        self._faults: dict[str, tuple[Fault, int | None]] = {}
        self._channels: set[Any] = set()
        self._port: Any = None

    @property
    def root(self) -> Path:
        """The PEM file to trust."""
        return self._files.root

    def start(self) -> None:
        """Listen on loopback."""
        site = _RememberingSite(self, self._channels)
        self._port = self._reactor.listenSSL(0, site, self._contexts, interface="127.0.0.1")
        self.directory = f"https://127.0.0.1:{self._port.getHost().port}/dir"

    async def stop(self) -> None:
        """Stop listening, and end all connections."""
        await self._port.stopListening()
        self.end_connections()
        await self._pool.closeCachedConnections()

    def end_connections(self) -> None:
        """Drop everybody who is connected."""
        for channel in list(self._channels):
            transport = getattr(channel, "transport", None)  # none before it is connected
            if transport is not None:
                transport.abortConnection()

    def spoil(self, endpoint: str, fault: Fault, times: int | None = 1) -> None:
        """Let `fault` deal with the next so many requests (None: with all) for what `PATHS` calls `endpoint`."""
        self._faults[endpoint] = (fault, times)

    def heal(self) -> None:
        """Pass everything on again."""
        self._faults.clear()
        self._contexts.is_impostor = False

    def pretend_to_be_another(self) -> None:
        """Show a certificate that nobody knows on every connection from now on, until `heal`."""
        self._contexts.is_impostor = True
        self.end_connections()

    @property
    def is_spoilt(self) -> bool:
        """Whether there is a fault that may still happen."""
        return bool(self._faults)

    def count(self, endpoint: str = "") -> int:
        """How many requests there were for the endpoint, or in all."""
        return sum(1 for one in self.seen if endpoint in ("", one.endpoint))

    def render(self, request: Request) -> int:
        """Called by twisted.web."""
        exchange = Exchange(self, request)
        path = request.path.decode()
        now = self._reactor.seconds()
        self.seen.append(Seen(exchange.endpoint, path, now, max(0.0, self._not_before.get(path, 0.0) - now)))
        request.notifyFinish().addErrback(lambda _: None)
        fault = self._fault_for(exchange.endpoint)
        Deferred.fromCoroutine(_run(fault, exchange)).addErrback(self._failed, exchange)
        return NOT_DONE_YET

    async def ask_ca(self, request: Request, endpoint: str, body: bytes) -> Answer:
        """Pass a request on, and count what it did."""
        headers = Headers({b"Host": [request.getHeader(b"host") or b""]})
        for name in PASSED_ON:
            if (value := request.getHeader(name)) is not None:
                headers.addRawHeader(name, value)
        producer = FileBodyProducer(BytesIO(body)) if body else None
        response = await self._agent.request(request.method, self._origin.encode() + request.uri, headers, producer)
        kept = tuple(
            (name, value)
            for name, values in response.headers.getAllRawHeaders()
            for value in values
            if name.lower() not in HOP_BY_HOP
        )
        content: bytes = await readBody(response)
        for later in response.headers.getRawHeaders("Retry-After", []):
            seconds = (
                self._reactor.seconds() + int(later) if later.isdigit() else parsedate_to_datetime(later).timestamp()
            )
            self._not_before[request.path.decode()] = seconds
        if endpoint == "newOrder" and response.code == 201:
            self.orders[frozenset(one["value"] for one in _payload(body)["identifiers"])] += 1
        return Answer(response.code, content, kept)

    def _fault_for(self, endpoint: str) -> Fault:
        fault, times = self._faults.get(endpoint, (pass_on, None))
        if times == 1:
            del self._faults[endpoint]
        elif times is not None:
            self._faults[endpoint] = (fault, times - 1)
        return fault

    def _failed(self, failure: Failure, exchange: Exchange) -> None:
        """The CA itself is out of reach."""
        self.log.warn("the proxy got no answer: {reason}", reason=failure.getErrorMessage())
        exchange.drop()


async def _run(fault: Fault, exchange: Exchange) -> None:
    await fault(exchange)


def endpoint_of(path: str) -> str:
    """What RFC 8555 calls the resource at one of Pebble's paths; `""` for others."""
    return PATHS.get("/" + path.split("/")[1], "")


def _payload(body: bytes) -> dict[str, Any]:
    try:
        encoded = json.loads(body)["payload"]
        found = json.loads(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, KeyError):
        return {}
    return found if isinstance(found, dict) else {}


@implementer(IOpenSSLContextFactory)
class _Contexts:
    """TLS contexts: ours, or that of an impostor."""

    def __init__(self, ours: CertificateFiles, impostor: CertificateFiles) -> None:
        self.is_impostor = False
        self._ours, self._impostor = (
            ssl.DefaultOpenSSLContextFactory(str(files.key), str(files.certificate), SSL.TLS_SERVER_METHOD)
            for files in (ours, impostor)
        )

    def getContext(self) -> Any:
        """The context of the next connection."""
        return (self._impostor if self.is_impostor else self._ours).getContext()


class _RememberingSite(Site):
    """Knows its connections."""

    noisy = False

    def __init__(self, resource: Resource, channels: set[Any]) -> None:
        super().__init__(resource, timeout=None)
        self._made = channels

    def buildProtocol(self, addr: Any) -> Any:
        channel = super().buildProtocol(addr)
        self._made.add(channel)
        return channel

    def log(self, request: Any) -> None:
        """No log of accesses: `seen` has them."""


# What may happen to a request.


async def pass_on(exchange: Exchange) -> None:
    """Nothing happens."""
    exchange.respond(await exchange.forward())


async def drop_before(exchange: Exchange) -> None:
    """The connection ends, and the CA has heard nothing."""
    exchange.drop()


async def drop_after(exchange: Exchange) -> None:
    """The CA has done it, and the connection ends before it can say so."""
    await exchange.forward()
    exchange.drop()


async def delay(exchange: Exchange) -> None:
    """It takes a while."""
    await deferLater(exchange.proxy._reactor, DELAY_SECONDS)
    exchange.respond(await exchange.forward())


async def cut(exchange: Exchange) -> None:
    """The connection ends in the middle of the answer."""
    answer = await exchange.forward()
    exchange.respond(answer, len(answer.body) // 2)


async def truncate(exchange: Exchange) -> None:
    """Half an answer that looks whole."""
    answer = await exchange.forward()
    exchange.respond(replace(answer, body=answer.body[: len(answer.body) // 2]))


async def empty(exchange: Exchange) -> None:
    """Nothing in a good answer, not even a nonce."""
    await exchange.forward()
    exchange.respond(Answer(200))


async def hang(exchange: Exchange) -> None:
    """No answer ever comes, and the CA has heard nothing."""


async def hang_after(exchange: Exchange) -> None:
    """No answer ever comes, but the CA has done it."""
    await exchange.forward()


async def huge(exchange: Exchange) -> None:
    """Ten megabytes."""
    exchange.respond(Answer(200, b"[" + b"0," * (HUGE_BYTES // 2), _headers(b"application/json", None)))


async def redirect(exchange: Exchange) -> None:
    """Another server is said to know."""
    exchange.respond(Answer(302, b"", ((b"Location", b"https://127.0.0.1:1/elsewhere"),)))


async def impostor(exchange: Exchange) -> None:
    """From now on somebody else answers in the CA's place, with a certificate of his own."""
    exchange.proxy.pretend_to_be_another()


def say(answer: Answer, only_with: str = "") -> Fault:
    """Answer so in the CA's place; with `only_with`, only where the payload has this field."""

    async def fault(exchange: Exchange) -> None:
        if only_with and only_with not in exchange.payload():
            exchange.respond(await exchange.forward())
        else:
            exchange.respond(answer)

    return fault
