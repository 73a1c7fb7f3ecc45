"""The HTTPS listener, which strangers reach: few connections, short lives, small requests."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Site

from nodetrust.issue.own.pages import BodilessRequest
from nodetrust.libp2p.farewell import EndsEarly
from nodetrust.libp2p.limits import ConnectionBudget, Limits, Ticket
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.libp2p.transports.sockets import admit
from nodetrust.settings import HostPort, SettingsError

LIMITS = Limits(handshakes=128, connections_per_network=24)
"""Nobody is known here, so `handshakes` counts all connections: when all places are taken, the oldest is dropped.

A browser opens up to six for a page, and keeps them for `IDLE_SECONDS`; several people may be behind one address.
"""

IDLE_SECONDS = 10.0
"""Without a byte, TLS's handshake included."""

CONNECTION_SECONDS = 30.0
"""From the first moment to the last, however busy: a browser just opens another one.

The page's script, 156 kB compressed, comes in that time over any line of 50 kbit/s.
"""

MAX_REQUEST_BYTES = 8192
"""Of a request with its headers; browsers send one or two thousand."""

MAX_HEADERS = 64


class HttpsListener:
    """One address."""

    def __init__(self, reactor: Any, place: HostPort, pages: IResource, certificates: CertificateStore) -> None:
        """Listen. Raises `SettingsError` where the address cannot be had."""
        guarded = Guarded(reactor, pages, certificates)
        self._budget = guarded.budget
        try:
            ip_address(place.host)
        except ValueError:
            raise SettingsError(f"https_listen: expected an IP address and a port, got {place}") from None
        try:
            self._port: IListeningPort = reactor.listenTCP(place.port, guarded, interface=place.host)
        except CannotListenError as error:
            raise SettingsError(f"https_listen: cannot listen on {place}: {error.socketError}") from error

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


class _Channel(HTTPChannel):
    totalHeadersSize = MAX_REQUEST_BYTES
    maxHeaders = MAX_HEADERS
    # What was written may still be on its way over a slow line: `CONNECTION_SECONDS` ends it.
    abortTimeout = None  # type: ignore[assignment]  # Twisted's own default is an int


class _Site(Site):
    """Only makes the channels: it is not started, and logs nobody's requests."""

    protocol = _Channel  # type: ignore[assignment]  # ALPN has left HTTP/1.1 alone to speak


def site_for(reactor: Any, pages: IResource) -> Any:
    """The HTTP part, without TLS and places."""
    site: Any = _Site  # Twisted's has no types
    return site(pages, requestFactory=BodilessRequest, timeout=IDLE_SECONDS, reactor=reactor)


class Guarded(Factory):
    """Accepts connections: as many as the budget says."""

    noisy = False

    def __init__(self, reactor: Any, pages: IResource, certificates: CertificateStore) -> None:
        self.budget = ConnectionBudget(LIMITS)
        self._reactor = reactor
        self._site = site_for(reactor, pages)
        self._tls = TLSMemoryBIOFactory(certificates, False, self._site, reactor)

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        ticket = admit(self.budget, addr)
        if ticket is None:
            return None
        # Not the TLS factory's buildProtocol: it can't refuse.
        return _Socket(self._tls, self._site.buildProtocol(addr), ticket, self._reactor)


class _Socket(EndsEarly, BufferingTLSTransport):
    """Holds its place in the budget, for so long."""

    def __init__(self, tls: TLSMemoryBIOFactory, channel: Any, ticket: Ticket, clock: IReactorTime) -> None:
        super().__init__(tls, channel)
        self._ticket = ticket
        self._clock = clock
        self._end: IDelayedCall | None = None

    def makeConnection(self, transport: Any) -> None:
        self._ticket.socket = transport
        self._end = self._clock.callLater(CONNECTION_SECONDS, transport.abortConnection)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]  # Twisted's

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._end is not None and self._end.active():
            self._end.cancel()
        self._ticket.release()
        super().connectionLost(reason)
