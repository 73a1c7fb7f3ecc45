"""HTTPS connections to a broker, and to the CA of a private network: names by the DNS server of one's choice."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IResolver, IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.web.client import URI, Agent, BrowserLikePolicyForHTTPS
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

from nodetrust.libp2p.errors import DialError
from nodetrust.libp2p.staggered import AllFailed, first_success
from nodetrust.libp2p.transports import TransportAddress
from nodetrust.libp2p.transports.resolve import resolve

if TYPE_CHECKING:
    from twisted.internet._sslverify import IOpenSSLTrustRoot  # the name by which Twisted documents it

CONNECT_SECONDS = 10.0


def https_agent(reactor: Any, resolver: IResolver | None, trust_root: IOpenSSLTrustRoot | None) -> IAgent:
    """Verified TLS; `resolver` answers names (else the reactor does), `trust_root` judges (else the platform does)."""
    policy = BrowserLikePolicyForHTTPS() if trust_root is None else BrowserLikePolicyForHTTPS(trust_root)
    agent: IAgent = Agent.usingEndpointFactory(reactor, _Endpoints(reactor, resolver, policy))
    return agent


@implementer(IAgentEndpointFactory)
class _Endpoints:
    def __init__(self, reactor: Any, resolver: IResolver | None, policy: BrowserLikePolicyForHTTPS) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._policy = policy

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Agent asks; the settings have seen to it that it is https."""
        creator = self._policy.creatorForNetloc(uri.host, uri.port)
        named = NamedEndpoint(self._reactor, self._resolver, uri.host.decode("ascii").strip("[]"), uri.port)
        return QuietEndpoint(wrapClientTLS(creator, named))


@implementer(IStreamClientEndpoint)
class QuietEndpoint:
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
class NamedEndpoint:
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
        # Not in the turn of the reactor in which a connection may have been given up: the resolver's new socket could
        # get the number of that one's, and Twisted hands it the event that was on its way.
        await deferLater(self._reactor, 0)
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
