"""One address on which HTTP is served: so many connections, each for so long, with TLS or without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from nodetrust.libp2p.farewell import EndsEarly
from nodetrust.libp2p.limits import ConnectionBudget, Limits, Ticket
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.libp2p.transports.sockets import admit
from nodetrust.settings import HostPort, SettingsError

IDLE_SECONDS = 10.0
"""Without a byte, TLS's handshake included."""

MAX_REQUEST_BYTES = 8192
"""Of a request with its headers; browsers send one or two thousand."""

MAX_HEADERS = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much strangers may use of one listener."""

    connections: Limits
    """Nobody is known here, so `handshakes` counts all: when all places are taken, the oldest is dropped."""
    connection_seconds: float
    """From the first moment to the last, however busy."""


class _Channel(HTTPChannel):
    totalHeadersSize = MAX_REQUEST_BYTES
    maxHeaders = MAX_HEADERS
    # What was written may still be on its way over a slow line: `Bounds.connection_seconds` ends it.
    abortTimeout = None  # type: ignore[assignment]  # Twisted's own default is an int


class _Site(Site):
    """Only makes the channels: it is not started, and logs nobody's requests."""

    protocol = _Channel  # type: ignore[assignment]  # ALPN has left HTTP/1.1 alone to speak


def site_for(reactor: Any, pages: IResource, request: type[Request]) -> Any:
    """The HTTP part, without TLS and places. `request` says what becomes of bodies."""
    site: Any = _Site  # Twisted's has no types
    return site(pages, requestFactory=request, timeout=IDLE_SECONDS, reactor=reactor)


class Guarded(Factory):
    """Accepts connections for `above`, the HTTP part, as many as the budget says. TLS if there are certificates."""

    noisy = False

    def __init__(
        self,
        reactor: Any,
        above: Any,
        bounds: Bounds,
        certificates: CertificateStore | None,
        welcome: Callable[[IAddress | None], bool] = lambda _: True,
    ) -> None:
        self.budget = ConnectionBudget(bounds.connections)
        self._reactor = reactor
        self._above = above
        self._bounds = bounds
        self._welcome = welcome
        self._kind: Any = _Plain if certificates is None else _Secure
        self._wrapping: Any = (
            WrappingFactory(above) if certificates is None else TLSMemoryBIOFactory(certificates, False, above, reactor)
        )

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        ticket = admit(self.budget, addr) if self._welcome(addr) else None
        if ticket is None:
            return None
        # Not the wrapping factory's buildProtocol: it can't refuse.
        socket: _HoldsPlace = self._kind(self._wrapping, self._above.buildProtocol(addr))
        socket.hold(ticket, self._reactor, self._bounds.connection_seconds)
        return socket


class _HoldsPlace(ProtocolWrapper):
    """Holds its place in the budget, for so long."""

    _end: IDelayedCall | None = None

    def hold(self, ticket: Ticket, clock: IReactorTime, seconds: float) -> None:
        """Before it is connected."""
        self._ticket = ticket
        self._clock = clock
        self._seconds = seconds

    def makeConnection(self, transport: Any) -> None:
        self._ticket.socket = transport
        self._end = self._clock.callLater(self._seconds, transport.abortConnection)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]  # Twisted's

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._end is not None and self._end.active():
            self._end.cancel()
        self._ticket.release()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]  # Twisted's


class _Secure(_HoldsPlace, EndsEarly, BufferingTLSTransport):
    pass


class _Plain(_HoldsPlace):
    pass


class WebListener:
    """Listens on `place`, which is of the setting `key`."""

    def __init__(self, reactor: Any, key: str, place: HostPort, guarded: Guarded) -> None:
        """Raises `SettingsError` where the address cannot be had."""
        self._budget = guarded.budget
        try:
            ip_address(place.host)
        except ValueError:
            raise SettingsError(f"{key}: expected an IP address and a port, got {place}") from None
        try:
            self._port: IListeningPort = reactor.listenTCP(place.port, guarded, interface=place.host)
        except CannotListenError as error:
            raise SettingsError(f"{key}: cannot listen on {place}: {error.socketError}") from error

    @property
    def place(self) -> HostPort:
        """The address, with the real port."""
        host: Any = self._port.getHost()
        return HostPort(host.host, host.port)

    async def stop(self) -> None:
        """Accept no more, and drop what is open; returns when it is closed."""
        await maybeDeferred(self._port.stopListening)
        self._budget.abort_all()
        closed: Deferred[None] = Deferred()
        self._budget.when_empty(lambda: closed.callback(None))
        await closed
