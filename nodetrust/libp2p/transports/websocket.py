"""WebSocket as a byte stream: `/ws`, and `/tls/ws` with a certificate that browsers trust.

Sources: RFC 6455 by way of Autobahn; libp2p/specs `websockets/README.md`. No subprotocol, no compression, any path, any
Origin; with TLS, a Host that is an address or one of the certificates' names. We send binary messages; text messages
are taken for bytes as well, as go and js do, but text it must be.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.protocol import WebSocketFactory
from autobahn.websocket.types import ConnectingRequest, ConnectionDeny, ConnectionRequest
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IOpenSSLClientConnectionCreator,
    IReactorTime,
    IResolver,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure

from nodetrust.libp2p.errors import DialError, ListenError, NoWebSocket, TlsFailed
from nodetrust.libp2p.farewell import EndsEarly
from nodetrust.libp2p.limits import ConnectionBudget, Ticket
from nodetrust.libp2p.transports.address import TransportAddress
from nodetrust.libp2p.transports.certificates import CertificateStore, client_options, describe_tls_failure
from nodetrust.libp2p.transports.sockets import (
    Accept,
    HostReactor,
    Listener,
    RawConnection,
    admit,
    connect_socket,
    listen_socket,
    raw_connection,
)
from nodetrust.libp2p.transports.websocket_channel import WebSocketBytes, WebSocketChannel

if TYPE_CHECKING:
    from twisted.internet._sslverify import IOpenSSLTrustRoot  # the name by which Twisted documents it

FIRST_BYTE_SECONDS = 3.0
"""How long an accepted socket may say nothing at all. Ours."""
HANDSHAKE_SECONDS = 10.0
"""To the end of the HTTP upgrade, TLS included: from the TCP connection when we dial, else from the first byte; go
allows 15, js 10."""

NOT_FOUND_PAGE = b"404 page not found: this is a libp2p node, and it speaks WebSocket only\n"


class WebSocketTransport:
    """Dials and listens on WebSocket. `trust_root` judges servers' certificates; without one the platform's does."""

    def __init__(
        self,
        reactor: HostReactor,
        budget: ConnectionBudget,
        resolver: IResolver | None = None,
        trust_root: IOpenSSLTrustRoot | None = None,
    ) -> None:
        self._reactor = reactor
        self._budget = budget
        self._resolver = resolver
        self._trust_root = trust_root
        self._settings = WebSocketClientFactory(reactor=reactor)
        self._settings.setProtocolOptions(**_OPTIONS, serverConnectionDropTimeout=0)
        self._protocol = _with_options(_Dialed, self._settings)

    def supports(self, target: TransportAddress) -> bool:
        return target.websocket

    async def dial(self, target: TransportAddress) -> RawConnection:
        tls = self._client_options(target.server_name) if target.tls else None
        build = partial(self._build, target)
        protocol = await connect_socket(self._reactor, self._resolver, target, build, tls)
        channel = await protocol.when_open
        return raw_connection(channel, target, channel.ticket)

    async def listen(self, target: TransportAddress, accept: Accept, tls: CertificateStore | None) -> Listener:
        if target.tls and tls is None:
            raise ListenError("A secure WebSocket listener needs a certificate store")
        factory = _Accepting(self._reactor, self._budget, target, accept, tls if target.tls else None)
        return await listen_socket(self._reactor, target, factory)

    def _client_options(self, server_name: str) -> IOpenSSLClientConnectionCreator:
        try:
            return client_options(server_name, self._trust_root)
        except ValueError as reason:
            raise DialError(f"{server_name!r} can't be the name in a certificate: {reason}") from reason

    def _build(self, target: TransportAddress) -> _Dialed:
        return self._protocol(self._settings, self._reactor, self._budget.dialed(), target)


# Deadlines are ours, on the reactor that we were given; Autobahn would take the global one.
_OPTIONS = {
    "openHandshakeTimeout": 0,
    "closeHandshakeTimeout": 0,
}


ProtocolT = TypeVar("ProtocolT", bound=WebSocketBytes)


def _with_options(protocol: type[ProtocolT], settings: WebSocketFactory) -> type[ProtocolT]:
    """A subclass that has Autobahn's options.

    Where it has not, Autobahn copies all thirty to each connection, and formats them for a log that nobody reads: that
    takes as long as a third of a TLS handshake.
    """
    options = {name: getattr(settings, name) for name in protocol.CONFIG_ATTRS}
    attributes = {name: staticmethod(value) if callable(value) else value for name, value in options.items()}
    return type(protocol.__name__, (protocol,), {**attributes, "CONFIG_ATTRS": ()})


class _Dialed(WebSocketBytes, WebSocketClientProtocol):  # type: ignore[misc]  # Autobahn is not typed
    """The client's end; `when_open` fires with its channel, or fails with a DialError."""

    def __init__(
        self, settings: WebSocketClientFactory, clock: IReactorTime, ticket: Ticket, target: TransportAddress
    ) -> None:
        super().__init__()
        self.factory = settings
        self.channel = WebSocketChannel(self, clock, ticket)
        self.when_open: Deferred[WebSocketChannel] = Deferred(lambda _: self.channel.abortConnection())
        self._target = target

    def connectionMade(self) -> None:
        self.channel.limit(HANDSHAKE_SECONDS)
        super().connectionMade()

    def onConnecting(self, transport_details: object) -> ConnectingRequest:
        host = self._target.server_name
        return ConnectingRequest(host=f"[{host}]" if ":" in host else host, port=self._target.port)

    def processHandshake(self) -> None:
        try:
            WebSocketClientProtocol.processHandshake(self)
        except Exception as reason:  # Autobahn reads the answer without minding what its parts may raise.
            WebSocketClientProtocol.failHandshake(self, f"not an answer to a WebSocket handshake: {reason}")

    def onOpen(self) -> None:
        self.when_open.callback(self.channel)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        if not self.when_open.called:
            why = describe_tls_failure(reason.value)
            kind = NoWebSocket if why is None else TlsFailed
            self.when_open.errback(kind(f"no WebSocket connection: {why or self.wasNotCleanReason or reason.value}"))


class _Accepted(WebSocketBytes, WebSocketServerProtocol):  # type: ignore[misc]  # Autobahn is not typed
    """The server's end; calls `accept` with the connection when the handshake is over."""

    def __init__(
        self,
        settings: WebSocketServerFactory,
        clock: IReactorTime,
        ticket: Ticket,
        target: TransportAddress,
        accept: Accept,
        *,
        certificates: CertificateStore | None,
    ) -> None:
        super().__init__()
        self.factory = settings
        self.channel = WebSocketChannel(self, clock, ticket)
        self._target = target
        self._accept = accept
        self._certificates = certificates
        self._silent = True

    def connectionMade(self) -> None:
        self.channel.limit(FIRST_BYTE_SECONDS)
        super().connectionMade()

    def heard(self) -> None:
        """Bytes have come, of TLS perhaps."""
        if self._silent:
            self._silent = False
            self.channel.limit(HANDSHAKE_SECONDS)

    def dataReceived(self, data: bytes) -> None:
        self.heard()
        super().dataReceived(data)

    def onConnect(self, request: ConnectionRequest) -> None:
        """A request for a name that no certificate of ours is for was not meant for us."""
        host = request.host.removeprefix("[").removesuffix("]")
        named = not (isIPAddress(host) or isIPv6Address(host))
        if named and self._certificates is not None and not self._certificates.covers(host):
            raise ConnectionDeny(ConnectionDeny.FORBIDDEN, "the Host is not one of ours")

    def onOpen(self) -> None:
        self._accept(raw_connection(self.channel, self._target, self.channel.ticket))

    def failHandshake(
        self, reason: str, code: int = 400, responseHeaders: Sequence[tuple[str, str]] | None = None
    ) -> None:
        """Whoever did not ask for a WebSocket gets a 404, as from go-libp2p."""
        asked = code not in {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.UPGRADE_REQUIRED}
        status = code if asked else HTTPStatus.NOT_FOUND
        WebSocketServerProtocol.failHandshake(self, reason, status, responseHeaders)

    def sendHttpErrorResponse(
        self, code: int, reason: str, responseHeaders: Sequence[tuple[str, str]] | None = None
    ) -> None:
        """A page whose text owes nothing to the request, and that is text to every browser."""
        status = HTTPStatus(code)
        page = NOT_FOUND_PAGE if status == HTTPStatus.NOT_FOUND else f"{code} {status.phrase}\n".encode()
        headers = [("Content-Type", "text/plain"), ("Content-Length", len(page)), ("Connection", "close")]
        headers.append(("X-Content-Type-Options", "nosniff"))
        lines = [f"HTTP/1.1 {code} {status.phrase}", *(f"{name}: {value}" for name, value in headers)]
        lines += [f"{name}: {value}" for name, value in responseHeaders or []]
        self.sendData("\r\n".join([*lines, "", ""]).encode() + page)


class _Accepting(Factory):
    noisy = False

    def __init__(
        self,
        reactor: HostReactor,
        budget: ConnectionBudget,
        target: TransportAddress,
        accept: Accept,
        tls: CertificateStore | None,
    ) -> None:
        self._reactor = reactor
        self._budget = budget
        self._target = target
        self._accept = accept
        self._settings = WebSocketServerFactory(reactor=reactor, server="")
        # "null" is the Origin of a page from a file, or in a sandboxed frame.
        self._settings.setProtocolOptions(**_OPTIONS, webStatus=False, allowNullOrigin=True)
        self._protocol = _with_options(_Accepted, self._settings)
        self._certificates = tls
        self._tls = None if tls is None else TLSMemoryBIOFactory(tls, False, self, reactor)

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        ticket = admit(self._budget, addr)
        if ticket is None:
            return None
        accepted = self._protocol(
            self._settings, self._reactor, ticket, self._target, self._accept, certificates=self._certificates
        )
        # Not the TLS factory's buildProtocol: it can't refuse.
        return accepted if self._tls is None else _AcceptedTls(self._tls, accepted)


class _AcceptedTls(EndsEarly, BufferingTLSTransport):
    """Below the WebSocket protocol, which hears of nothing before TLS's handshake is over."""

    wrappedProtocol: _Accepted

    def dataReceived(self, data: bytes) -> None:
        self.wrappedProtocol.heard()
        super().dataReceived(data)  # type: ignore[no-untyped-call]  # Twisted's
