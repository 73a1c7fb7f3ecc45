"""TCP: `/ip4|ip6|dns|dns4|dns6/HOST/tcp/PORT` (libp2p/specs `addressing/README.md`)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IResolver
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from nodetrust.libp2p.channel import TransportChannel
from nodetrust.libp2p.limits import ConnectionBudget, Ticket
from nodetrust.libp2p.transports.address import TransportAddress
from nodetrust.libp2p.transports.certificates import CertificateStore
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

READ_BYTES = 128 * 1024
"""What one read takes at most, once we know whose socket it is; strangers get Twisted's 64 KiB. Those are a byte less
than the longest Noise message with its length, so that hardly one would come in one piece. The buffer lives for the
read only: an idle connection costs no more."""


class TcpChannel(TransportChannel):
    """A TCP socket as a channel. Small writes go out at once (TCP_NODELAY): every layer above waits for answers."""

    def __init__(self, ticket: Ticket, ready: Callable[[TcpChannel], None] | None = None) -> None:
        super().__init__()
        self._ready = ready
        self.ticket = ticket

    def connectionMade(self) -> None:
        self.ticket.socket = self
        self.transport.setTcpNoDelay(True)
        if self._ready is not None:
            self._ready(self)

    def peer_known(self) -> None:
        self.transport.bufferSize = READ_BYTES

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted gives it a default
        super().connectionLost(reason)
        self.ticket.release()


class TcpTransport:
    """Dials and listens on plain TCP."""

    def __init__(self, reactor: HostReactor, budget: ConnectionBudget, resolver: IResolver | None = None) -> None:
        self._reactor = reactor
        self._budget = budget
        self._resolver = resolver

    def supports(self, target: TransportAddress) -> bool:
        return not target.websocket

    async def dial(self, target: TransportAddress) -> RawConnection:
        channel = await connect_socket(self._reactor, self._resolver, target, self._build)
        return raw_connection(channel, target, channel.ticket)

    async def listen(self, target: TransportAddress, accept: Accept, tls: CertificateStore | None) -> Listener:
        return await listen_socket(self._reactor, target, _Accepting(target, accept, self._budget))

    def _build(self) -> TcpChannel:
        return TcpChannel(self._budget.dialed())


class _Accepting(Factory):
    noisy = False

    def __init__(self, target: TransportAddress, accept: Accept, budget: ConnectionBudget) -> None:
        self._target = target
        self._accept = accept
        self._budget = budget

    def buildProtocol(self, addr: IAddress | None) -> TcpChannel | None:
        ticket = admit(self._budget, addr)
        return None if ticket is None else TcpChannel(ticket, self._ready)

    def _ready(self, channel: TcpChannel) -> None:
        self._accept(raw_connection(channel, self._target, channel.ticket))
