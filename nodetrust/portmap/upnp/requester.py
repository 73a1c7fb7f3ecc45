"""HTTP with the gateway, and with nobody else: what `async-upnp-client` does outside, it does here.

Twisted's bare `Agent`: no redirect is followed, nothing is uncompressed, no connection is kept.
"""

from __future__ import annotations

from io import BytesIO
from ipaddress import IPv4Address
from typing import Any

from async_upnp_client.client import UpnpRequester
from async_upnp_client.const import HttpRequest, HttpResponse
from twisted.internet import defer, error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.internet.task import Cooperator
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import (
    Agent,
    FileBodyProducer,
    PartialDownloadError,
    ResponseFailed,
    ResponseNeverReceived,
    readBody,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from nodetrust.portmap.errors import NoAnswerError, RefusedError
from nodetrust.portmap.upnp.search import is_on

REQUEST_SECONDS = 5.0
"""From the connection to the last octet. Device Architecture 1.1 §3.2.1 gives a device 30."""

MAX_RESPONSE_BYTES = 131072
"""With its headers; miniupnpd's largest description has 12,000 octets."""

MAX_DESCRIPTIONS = 24
"""How many documents a description may send us to: an IGD has 4 to 8 services."""

_UNREACHABLE = (
    error.ConnectError,
    error.ConnectionClosed,
    error.TimeoutError,
    defer.TimeoutError,
    ResponseFailed,
    ResponseNeverReceived,
)


class GatewayRequester(UpnpRequester):
    """Asks the gateway; raises `NoAnswerError`, and `RefusedError` for a URL that is not the gateway's."""

    def __init__(self, reactor: Any, gateway: IPv4Address) -> None:
        self._reactor = reactor
        self._gateway = gateway
        self._agent = Agent.usingEndpointFactory(reactor, _GatewayEndpoints(reactor, gateway))
        self._descriptions = 0

    async def async_http_request(self, http_request: HttpRequest) -> HttpResponse:
        """Get a description, or call an action."""
        if not is_on(self._gateway, http_request.url):
            raise RefusedError("its description leads to another machine")
        if http_request.method == "GET":
            self._descriptions += 1
            if self._descriptions > MAX_DESCRIPTIONS:
                raise RefusedError(f"its description leads to more than {MAX_DESCRIPTIONS} others")
        try:
            answer = Deferred.fromCoroutine(self._request(http_request))
            return await answer.addTimeout(REQUEST_SECONDS, self._reactor)
        except _UNREACHABLE as reason:
            raise NoAnswerError(f"its HTTP server fails: {_say(reason)}") from reason

    async def _request(self, request: HttpRequest) -> HttpResponse:
        headers = Headers({name: [value] for name, value in request.headers.items() if name.lower() != "host"})
        headers.setRawHeaders("User-Agent", ["UPnP/1.1 nodetrust"])
        body = None if request.body is None else self._producer(request.body)
        try:
            response = await self._agent.request(request.method.encode(), request.url.encode(), headers, body)
            content = await readBody(response)
        except error.ConnectingCancelledError as cancelled:
            raise CancelledError from cancelled
        except PartialDownloadError as ended:  # by closing the connection, as HTTP/1.0 does
            content = ended.response or b""
        return HttpResponse(response.code, {}, content.decode("utf-8", "replace"))

    def _producer(self, body: str) -> FileBodyProducer:
        cooperator = Cooperator(scheduler=lambda step: self._reactor.callLater(0, step))
        return FileBodyProducer(BytesIO(body.encode()), cooperator)


def _say(reason: Exception) -> str:
    if isinstance(reason, ResponseFailed) and reason.reasons:
        reason = reason.reasons[0].value
    return f"{type(reason).__name__} {str(reason)[:120]}"


@implementer(IAgentEndpointFactory)
class _GatewayEndpoints:
    """Connects to the gateway's address, whatever a URL says."""

    def __init__(self, reactor: Any, gateway: IPv4Address) -> None:
        self._reactor = reactor
        self._gateway = gateway

    def endpointForURI(self, uri: Any) -> IStreamClientEndpoint:
        endpoint = TCP4ClientEndpoint(self._reactor, str(self._gateway), uri.port, timeout=REQUEST_SECONDS)
        return _BoundedEndpoint(endpoint)


@implementer(IStreamClientEndpoint)
class _BoundedEndpoint:
    """Connections that end when too much has come: Twisted bounds a header's line, but not how many there are."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: Any) -> Deferred[IProtocol]:
        factory: Any = WrappingFactory(protocolFactory)
        factory.noisy = protocolFactory.noisy = False
        factory.protocol = _Bounded
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting.addCallback(lambda wrapper: wrapper.wrappedProtocol)


class _Bounded(ProtocolWrapper):
    _received = 0

    def dataReceived(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > MAX_RESPONSE_BYTES:
            self.abortConnection()
        else:
            self.wrappedProtocol.dataReceived(data)
