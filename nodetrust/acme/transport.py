"""HTTP to one CA: a thin shell around treq that believes nothing. RFC 8555 §6.1, RFC 9110.

Redirects, compressed bodies and cookies are refused; bodies, time and idle connections are bounded.
"""

from dataclasses import dataclass
from typing import Any

import treq.client
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet import error, ssl
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IConsumer, IOpenSSLClientConnectionCreator, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from nodetrust.acme.deadline import Deadline
from nodetrust.acme.errors import AcmeMisbehaved, AcmeTimedOut, AcmeUnreachable, AcmeUsageError
from nodetrust.acme.problems import printable
from nodetrust.acme.urls import Origin

MAX_BODY_BYTES = 1 << 20
"""A body of a CA; Let's Encrypt's largest, an order of a hundred names, is 20 KiB."""

MAX_CONNECTIONS = 32
"""That are kept for the next request."""

_REQUEST_SECONDS = 30.0
_CONNECT_SECONDS = 10.0
_IDLE_SECONDS = 30
_USER_AGENT = "nodetrust-acme"

_CONNECTION_ERRORS = (
    error.ConnectError,
    error.ConnectingCancelledError,
    error.ConnectionClosed,
    error.DNSLookupError,
    ResponseNeverReceived,
    ResponseFailed,
    RequestTransmissionFailed,
    SSL.Error,
    ssl.VerificationError,
)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole answer; header values are None where the CA sent none. `media_type` is lower case, without parameters."""

    status: int
    body: bytes
    media_type: str
    nonce: str | None
    location: str | None
    retry_after: str | None
    links: tuple[str, ...] = ()  # every Link header
    date: str | None = None


class HttpTransport:
    """Requests to the CA at `origin`.

    `trust_root_pem` are the only roots to trust (None: the system's). With `agent` nothing is connected here, which is
    for tests and for callers with their own way out (a proxy).
    """

    def __init__(
        self, reactor: IReactorTime, origin: Origin, trust_root_pem: bytes | None = None, agent: IAgent | None = None
    ) -> None:
        self._reactor = reactor
        self._origin = origin
        self._pool = None if agent is not None else _connection_pool(reactor)
        if agent is None:
            agent = Agent(reactor, _tls_policy(trust_root_pem), connectTimeout=_CONNECT_SECONDS, pool=self._pool)
        self._client = treq.client.HTTPClient(_PlainAgent(agent), data_to_body_producer=WholeBody)

    async def request(
        self, method: str, url: str, deadline: Deadline, *, body: bytes | None = None, accept: str = "application/json"
    ) -> HttpResponse:
        """Ask, and read the whole answer, whatever its status (but no redirect).

        Raises `AcmeUnreachable`, `AcmeMisbehaved`, or `AcmeTimedOut` where the deadline itself has passed.
        """
        self._origin.check(url)
        headers = Headers({"User-Agent": [_USER_AGENT], "Accept": [accept], "Accept-Language": ["en"]})
        if body is not None:
            headers.addRawHeader("Content-Type", "application/jose+json")
        patience = Deadline(self._reactor, min(_REQUEST_SECONDS, deadline.remaining_seconds))
        try:
            return await patience.limit(self._exchange(method, url, headers, body), "")
        except AcmeTimedOut:
            if deadline.remaining_seconds > 0:
                raise AcmeUnreachable(f"the CA at {self._origin} did not answer in {_REQUEST_SECONDS:g} s") from None
            raise deadline.error(f"waiting for the CA at {self._origin}") from None

    async def close(self) -> None:
        """Close idle connections; returns when they are closed."""
        if self._pool is not None:
            await self._pool.closeCachedConnections()

    async def _exchange(self, method: str, url: str, headers: Headers, body: bytes | None) -> HttpResponse:
        reactor: Any = self._reactor  # treq declares more than it uses: without `timeout` it uses nothing of it
        try:
            response = await self._client.request(
                method, url, headers=headers, data=body, allow_redirects=False, unbuffered=True, reactor=reactor
            )
            received = await _BoundedBody.of(response, MAX_BODY_BYTES)
        except _CONNECTION_ERRORS as failed:
            raise self._unreachable(failed) from failed
        if 300 <= response.code < 400:
            raise AcmeMisbehaved("the CA answered with a redirect, which ACME has no use for")
        return HttpResponse(
            response.code,
            received,
            (_header(response, "Content-Type") or "").partition(";")[0].strip().lower(),
            _header(response, "Replay-Nonce"),
            _header(response, "Location"),
            _header(response, "Retry-After"),
            tuple(_headers(response, "Link")),
            _header(response, "Date"),
        )

    def _unreachable(self, failed: BaseException) -> Exception:
        reasons = [reason.value for reason in getattr(failed, "reasons", ()) if isinstance(reason, Failure)] or [failed]
        for reason in reasons:
            if isinstance(reason, CancelledError | error.ConnectingCancelledError):
                return CancelledError()
            if isinstance(reason, AcmeMisbehaved):
                return reason
        if any(isinstance(reason, SSL.Error | ssl.VerificationError) for reason in reasons):
            return AcmeUnreachable(f"the CA at {self._origin} has no TLS certificate that we trust")
        return AcmeUnreachable(f"the CA at {self._origin} cannot be reached: {printable(reasons[0])}")


@implementer(IBodyProducer)
class WholeBody:
    """A request's body, written at once: treq's own producer waits for turns of the global reactor."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def stopProducing(self) -> None:
        """Nothing is left to stop."""

    def pauseProducing(self) -> None:
        """Nothing is left to hold back."""

    def resumeProducing(self) -> None:
        """Nothing is left to send."""


@implementer(IAgent)
class _PlainAgent:
    """Below treq, which on its own accord asks for gzip (a small body can become a huge one) and keeps cookies."""

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        """IAgent; fails with `AcmeMisbehaved` on an answer with a content encoding."""
        plain = Headers() if headers is None else headers.copy()
        plain.removeHeader("Accept-Encoding")
        return self._agent.request(method, uri, plain, bodyProducer).addCallback(_plain_response)


def _plain_response(response: IResponse) -> IResponse:
    if response.headers.hasHeader("Content-Encoding"):
        _BoundedBody.of(response, 0).addErrback(lambda _: b"").cancel()
        raise AcmeMisbehaved("the CA sent a compressed answer that was not asked for")
    response.headers.removeHeader("Set-Cookie")
    return response


class _BoundedBody(Protocol):
    """Collects a body. One octet too many drops the connection, and so does cancelling the Deferred."""

    def __init__(self, max_bytes: int) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._drop())
        self._max_bytes = max_bytes
        self._received = bytearray()

    @classmethod
    def of(cls, response: IResponse, max_bytes: int) -> Deferred[bytes]:
        """The body of a response; fails with `AcmeMisbehaved` if it is longer than that."""
        body = cls(max_bytes)
        response.deliverBody(body)
        return body.done

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > self._max_bytes:
            self._received.clear()
            self._finish(Failure(AcmeMisbehaved(f"the CA sent a body of more than {self._max_bytes} bytes")))
            self._drop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        whole = reason.check(ResponseDone, PotentialDataLoss) is not None
        self._finish(bytes(self._received) if whole else reason)

    def _finish(self, result: bytes | Failure) -> None:
        if not self.done.called:
            self.done.callback(result)

    def _drop(self) -> None:
        # Agent gives bodies a transport that can be aborted, other IAgents (tests) one that only closes.
        drop = getattr(self.transport, "abortConnection", None) or getattr(self.transport, "loseConnection", None)
        if drop is not None:
            drop()


def _header(response: IResponse, name: str) -> str | None:
    return next(reversed(_headers(response, name)), None)


def _headers(response: IResponse, name: str) -> list[str]:
    """All of a name, whatever octets they have: asked for texts, Twisted raises where they are not UTF-8."""
    return [value.decode("latin-1") for value in response.headers.getRawHeaders(name.encode(), [])]


def _connection_pool(reactor: IReactorTime) -> HTTPConnectionPool:
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = MAX_CONNECTIONS
    pool.cachedConnectionTimeout = _IDLE_SECONDS
    # Requests are repeated one level up, where the nonces are.
    pool.retryAutomatically = False
    return pool


@implementer(IPolicyForHTTPS)
class _OnceMadePolicy:
    """TLS options that are made once for each place: `Agent` asks for them at each request, on old connections, too."""

    def __init__(self, policy: IPolicyForHTTPS) -> None:
        self._policy = policy
        self._made: dict[tuple[bytes, int], IOpenSSLClientConnectionCreator] = {}

    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        """IPolicyForHTTPS; a client of one CA sees one place."""
        if (hostname, port) not in self._made:
            self._made[hostname, port] = self._policy.creatorForNetloc(hostname, port)
        return self._made[hostname, port]


def _tls_policy(trust_root_pem: bytes | None) -> IPolicyForHTTPS:
    if trust_root_pem is None:
        return _OnceMadePolicy(BrowserLikePolicyForHTTPS())
    try:
        roots = [ssl.Certificate.load(der) for der in _pem_certificates(trust_root_pem)]
    except ValueError as failed:
        raise AcmeUsageError("the file with the CA's roots is not PEM") from failed
    return _OnceMadePolicy(BrowserLikePolicyForHTTPS(ssl.trustRootFromCertificates(roots)))


def _pem_certificates(pem: bytes) -> list[bytes]:
    return [found.public_bytes(Encoding.DER) for found in x509.load_pem_x509_certificates(pem)]
