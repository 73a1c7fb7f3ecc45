"""HTTPS to a broker, and to the CA of a private network: names by the DNS server of one's choice, bounded, plain.

Redirects are not followed, compressed bodies not asked for, and what is too long or too slow is cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IResolver, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (
    URI,
    Agent,
    BrowserLikePolicyForHTTPS,
    RequestTransmissionFailed,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from nodetrust.acme.transport import WholeBody
from nodetrust.client.autotls.errors import BrokerUnreachable
from nodetrust.libp2p.errors import DialError
from nodetrust.libp2p.staggered import AllFailed, first_success
from nodetrust.libp2p.transports import TransportAddress
from nodetrust.libp2p.transports.resolve import resolve
from nodetrust.service import AGENT_VERSION

if TYPE_CHECKING:
    from twisted.internet._sslverify import IOpenSSLTrustRoot  # the name by which Twisted documents it

MAX_BODY_BYTES = 16 * 1024
"""Of an answer; p2p-forge's longest says of each address why it could not be dialled."""

CONNECT_SECONDS = 10.0

_LOST = (ConnectError, ConnectionClosed, RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, of any status; a body that was too long is cut."""

    status: int
    headers: Headers
    body: bytes


def https_agent(reactor: Any, resolver: IResolver | None, trust_root: IOpenSSLTrustRoot | None) -> IAgent:
    """Verified TLS; `resolver` answers names (else the reactor does), `trust_root` judges (else the platform does)."""
    policy = BrowserLikePolicyForHTTPS() if trust_root is None else BrowserLikePolicyForHTTPS(trust_root)
    agent: IAgent = Agent.usingEndpointFactory(reactor, _Endpoints(reactor, resolver, policy))
    return agent


class Https:
    """Requests to one server that belong together: its cookies go from each to the next."""

    def __init__(self, reactor: Any, agent: IAgent) -> None:
        from treq.client import HTTPClient  # noqa: PLC0415  # for those alone who have a broker: it takes its time

        self._reactor = reactor
        self._client = HTTPClient(_PlainAgent(agent), data_to_body_producer=WholeBody)

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> Answer:
        """Ask, and read the whole answer. Raises `BrokerUnreachable`."""
        asking = Deferred.fromCoroutine(self._exchange(method, url, headers, body))
        try:
            return await asking.addTimeout(seconds, self._reactor)
        except DeferredTimeout:
            raise BrokerUnreachable(f"{url}: no answer within {seconds:g} seconds") from None
        except DNSLookupError as error:
            raise BrokerUnreachable(f"{url}: {error}") from error
        except _LOST as error:
            raise BrokerUnreachable(f"{url}: {_reason(error)}") from error

    async def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        try:
            return await self._answer(method, url, headers, body)
        except ConnectingCancelledError:
            raise CancelledError from None  # an endpoint's own word for it
        except _LOST as error:
            if any(isinstance(one, CancelledError) for one in _inner(error)):
                raise CancelledError from error  # Agent makes something else of it
            raise

    async def _answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        whole = Headers({name: [value] for name, value in {"User-Agent": AGENT_VERSION, **headers}.items()})
        response: Any = await self._client.request(
            method, url, headers=whole, data=body, allow_redirects=False, unbuffered=True, reactor=self._reactor
        )
        body_received = _Body()
        response.deliverBody(body_received)
        return Answer(response.code, response.headers, await body_received.done)


@implementer(IAgent)
class _PlainAgent:
    """Below treq, which on its own accord asks for gzip, and unpacks it: a small body can become a huge one."""

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        """IAgent; a body that is encoded all the same is passed on as it is."""
        plain = Headers() if headers is None else headers.copy()
        plain.removeHeader("Accept-Encoding")
        return self._agent.request(method, uri, plain, bodyProducer).addCallback(_as_it_is)


def _as_it_is(response: IResponse) -> IResponse:
    response.headers.removeHeader("Content-Encoding")
    return response


class _Body(Protocol):
    """Collects a body. One octet too many drops the connection, and so does cancelling the Deferred."""

    def __init__(self) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._drop())
        self._received = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > MAX_BODY_BYTES:
            self._finish(bytes(self._received[:MAX_BODY_BYTES]))
            self._drop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        whole = reason.check(ResponseDone, PotentialDataLoss) is not None
        self._finish(bytes(self._received) if whole else reason)

    def _finish(self, result: bytes | Failure) -> None:
        self._received.clear()
        if not self.done.called:
            self.done.callback(result)

    def _drop(self) -> None:
        # Agent gives bodies a transport that can be aborted, other IAgents (tests) one that only closes.
        drop = getattr(self.transport, "abortConnection", None) or getattr(self.transport, "loseConnection", None)
        if drop is not None:
            drop()


def _reason(error: BaseException) -> str:
    inner = _inner(error)[0]
    if isinstance(inner, SSL.Error | ssl.VerificationError):
        return "it has no TLS certificate that is trusted here for this name"
    return str(inner) or type(inner).__name__


def _inner(error: BaseException) -> list[BaseException]:
    """What Agent has put into a list, or the error itself."""
    return [reason.value for reason in getattr(error, "reasons", ())] or [error]


@implementer(IAgentEndpointFactory)
class _Endpoints:
    def __init__(self, reactor: Any, resolver: IResolver | None, policy: BrowserLikePolicyForHTTPS) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._policy = policy

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Agent asks; the settings have seen to it that it is https."""
        creator = self._policy.creatorForNetloc(uri.host, uri.port)
        named = _NamedEndpoint(self._reactor, self._resolver, uri.host.decode("ascii").strip("[]"), uri.port)
        return _QuietEndpoint(wrapClientTLS(creator, named))


@implementer(IStreamClientEndpoint)
class _QuietEndpoint:
    """Without a line in the log for each connection that begins, and one for its end."""

    def __init__(self, inner: IStreamClientEndpoint) -> None:
        self._inner = inner

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """IStreamClientEndpoint."""
        factory: Any = protocolFactory
        factory.noisy = False
        connecting: Deferred[IProtocol] = self._inner.connect(protocolFactory)
        return connecting


@implementer(IStreamClientEndpoint)
class _NamedEndpoint:
    """The first address of a name that takes a connection. Fails with `DNSLookupError` or a `ConnectError`."""

    def __init__(self, reactor: Any, resolver: IResolver | None, host: str, port: int) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._host = host
        self._port = port

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """IStreamClientEndpoint."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        try:
            target = TransportAddress(_host_protocol(self._host), self._host, self._port)
            ips = await resolve(target, self._resolver, self._reactor.nameResolver)
        except DialError as error:
            raise DNSLookupError(str(error)) from error
        try:
            return await first_success([partial(self._connect_to, ip, factory) for ip in ips], self._reactor)
        except AllFailed as failed:
            raise failed.reasons[0] from failed

    def _connect_to(self, ip: str, factory: IProtocolFactory) -> Deferred[IProtocol]:
        kind = TCP6ClientEndpoint if ":" in ip else TCP4ClientEndpoint
        connecting: Deferred[IProtocol] = kind(self._reactor, ip, self._port, CONNECT_SECONDS).connect(factory)
        return connecting


def _host_protocol(host: str) -> str:
    if ":" in host:
        return "ip6"
    return "ip4" if host.replace(".", "").isdigit() else "dns"
