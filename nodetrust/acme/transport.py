"""HTTP to one CA: a thin shell around treq that believes nothing. RFC 8555 §6.1, RFC 9110.

Redirects, compressed bodies and cookies are refused; bodies, time and idle connections are bounded.
"""

from dataclasses import dataclass
from typing import Any

import treq.client
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet import ssl
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IReactorTime
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from nodetrust.acme.deadline import Deadline
from nodetrust.acme.errors import AcmeMisbehaved, AcmeTimedOut, AcmeUnreachable, AcmeUsageError
from nodetrust.acme.plain_http import (
    CONNECTION_ERRORS,
    UNTRUSTED,
    BodyTooLong,
    PlainAgent,
    WholeBody,
    causes,
    drop_body,
    header_values,
    whole_body,
)
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
        self._client = treq.client.HTTPClient(PlainAgent(agent, _arrived), data_to_body_producer=WholeBody)

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
            received = await whole_body(response, MAX_BODY_BYTES)
        except BodyTooLong as failed:
            raise AcmeMisbehaved(f"the CA sent {failed}") from None
        except CONNECTION_ERRORS as failed:
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
            tuple(header_values(response.headers, "Link")),
            _header(response, "Date"),
        )

    def _unreachable(self, failed: BaseException) -> Exception:
        reasons = causes(failed)
        for reason in reasons:
            if isinstance(reason, AcmeMisbehaved):
                return reason
        if any(isinstance(reason, UNTRUSTED) for reason in reasons):
            return AcmeUnreachable(f"the CA at {self._origin} has no TLS certificate that we trust")
        return AcmeUnreachable(f"the CA at {self._origin} cannot be reached: {printable(reasons[0])}")


def _arrived(response: IResponse) -> None:
    if response.headers.hasHeader("Content-Encoding"):
        drop_body(response)
        raise AcmeMisbehaved("the CA sent a compressed answer that was not asked for")
    response.headers.removeHeader("Set-Cookie")


def _header(response: IResponse, name: str) -> str | None:
    return next(reversed(header_values(response.headers, name)), None)


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
