"""Which certificate an HTTPS server shows, whether or not it is to be trusted: for those who ask why it is not."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLClientConnectionCreator, IResolver
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.acme.plain_http import CONNECTION_ERRORS, causes
from nodetrust.client.autotls.agent import NamedEndpoint, QuietEndpoint
from nodetrust.client.autotls.errors import BrokerUnreachable

HTTPS_PORT = 443
LOOK_SECONDS = 15.0


async def shown_certificate(reactor: Any, resolver: IResolver | None, url: str) -> x509.Certificate:
    """That of the server at an https URL, found as by `https_agent`. Raises `BrokerUnreachable`."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    named = NamedEndpoint(reactor, resolver, host, parts.port or HTTPS_PORT)
    looking = Deferred.fromCoroutine(_look(url, QuietEndpoint(wrapClientTLS(_Unverified(host), named))))
    try:
        return await looking.addTimeout(LOOK_SECONDS, reactor)
    except DeferredTimeout:
        raise BrokerUnreachable(f"{url}: no certificate within {LOOK_SECONDS:g} seconds") from None


async def _look(url: str, endpoint: QuietEndpoint) -> x509.Certificate:
    try:
        looker: Any = await endpoint.connect(Factory.forProtocol(_Looker))
        try:
            certificate: x509.Certificate = await looker.seen
        finally:
            looker.transport.abortConnection()
    except CONNECTION_ERRORS as error:
        reason = causes(error)[0]
        if isinstance(reason, CancelledError):
            raise reason from error
        raise BrokerUnreachable(f"{url}: {str(reason) or type(reason).__name__}") from error
    return certificate


@implementer(IHandshakeListener)
class _Looker(Protocol):
    def __init__(self) -> None:
        self.seen: Deferred[x509.Certificate] = Deferred()

    def handshakeCompleted(self) -> None:
        transport: Any = self.transport
        if not self.seen.called:
            self.seen.callback(transport.getPeerCertificate().to_cryptography())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.seen.called:
            self.seen.errback(reason)


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    def __init__(self, host: str) -> None:
        self._host = host
        self._context = CertificateOptions(verify=False).getContext()

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """IOpenSSLClientConnectionCreator; names are said to the server (RFC 6066 §3), addresses are not."""
        connection = SSL.Connection(self._context, None)
        if ":" not in self._host and not self._host.replace(".", "").isdigit():
            connection.set_tlsext_host_name(self._host.encode("ascii"))
        return connection
