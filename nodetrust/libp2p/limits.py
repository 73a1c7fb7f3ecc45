"""How much of us strangers may use at once. Pure: sockets are counted by whoever accepts them.

Sources: go-libp2p `limit_defaults.go` (8 connections an IPv4 address or IPv6 /56; loopback unlimited) and its guide to
denial of service, which counts connections apart as long as nobody knows who is at the other end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Protocol

MIN_IDLE_SECONDS = 10.0
"""A connection without a stream for so long may be dropped to make room for a newcomer. Ours."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers; each is for one host."""

    inbound_connections: int = 512
    """Accepted connections of peers that we know. Half of the 1024 file descriptors that a process usually may have."""
    handshakes: int = 256
    """Accepted sockets beside those, not yet authenticated; go-libp2p's "transient" connections. As many newcomers may
    come at one moment: of more, those who came first are dropped."""
    connections_per_network: int = 8
    """Of both together, from one IPv4 address or one IPv6 /56, as in go-libp2p. Loopback is exempt."""
    connections_per_peer: int = 8
    """Connections that one peer ID holds open, as in go-libp2p."""
    requests_per_connection: int = 32
    """Request handlers that run at once for one connection."""


class Socket(Protocol):
    """What the budget wants of a socket."""

    def abortConnection(self) -> None:
        """Drop it now."""


class ConnectionBudget:
    """Counts accepted sockets against the `Limits`, and knows all that are open, dialed ones too.

    Where all places are taken a newcomer is let in for somebody else who is dropped: for a socket of which nobody knows
    whose it is, the one that has been unknown for longest; for a peer that has proven who it is, the one that has had
    no stream for longest. So strangers who only hold places can keep nobody out, and they can never drop a peer.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_network: Counter[str] = Counter()
        self._tickets: set[Ticket] = set()
        self._unknown: dict[Ticket, None] = {}  # oldest first
        self._known: set[Ticket] = set()
        self._emptied: list[Callable[[], None]] = []

    @property
    def open(self) -> int:
        """How many sockets there are, dialed and accepted."""
        return len(self._tickets)

    @property
    def inbound(self) -> int:
        """How many accepted sockets of known peers hold a place."""
        return len(self._known)

    @property
    def handshakes(self) -> int:
        """How many accepted sockets of unknown owner hold a place."""
        return len(self._unknown)

    def admit(self, host: IPv4Address | IPv6Address) -> Ticket | None:
        """A ticket for one more socket from `host`, or None if its network has used up its places."""
        network = None if host.is_loopback else network_of(host)
        if network is not None:
            if self._by_network[network] >= self._limits.connections_per_network:
                return None
            self._by_network[network] += 1
        if len(self._unknown) >= self._limits.handshakes:
            self._drop(next(iter(self._unknown)))
        ticket = self._issue(Ticket(self, inbound=True, network=network))
        self._unknown[ticket] = None
        return ticket

    def dialed(self) -> Ticket:
        """A ticket for a socket that we open: counted, never refused."""
        return self._issue(Ticket(self, inbound=False, network=None))

    def abort_all(self, unauthenticated_only: bool = False) -> None:
        """Drop every socket, or every one whose handshake is not over."""
        for ticket in list(self._tickets):
            if ticket.socket is not None and not (unauthenticated_only and ticket.is_authenticated):
                ticket.socket.abortConnection()

    def when_empty(self, call: Callable[[], None]) -> None:
        """Call when no socket is open, at once if none is."""
        if self._tickets:
            self._emptied.append(call)
        else:
            call()

    def _issue(self, ticket: Ticket) -> Ticket:
        self._tickets.add(ticket)
        return ticket

    def _authenticated(self, ticket: Ticket) -> bool:
        if ticket not in self._unknown:
            return False  # it was dropped a moment ago
        if len(self._known) >= self._limits.inbound_connections:
            idlest = max(self._known, key=Ticket.idle_seconds)
            if idlest.idle_seconds() < MIN_IDLE_SECONDS:
                return False
            self._drop(idlest)
        del self._unknown[ticket]
        self._known.add(ticket)
        return True

    def _drop(self, ticket: Ticket) -> None:
        """Take the place away now, and the socket, which says `release` a moment later."""
        self._leave(ticket)
        if ticket.socket is not None:
            ticket.socket.abortConnection()

    def _leave(self, ticket: Ticket) -> None:
        self._unknown.pop(ticket, None)
        self._known.discard(ticket)

    def _released(self, ticket: Ticket) -> None:
        self._tickets.discard(ticket)
        self._leave(ticket)
        if ticket.network is not None:
            self._by_network[ticket.network] -= 1
            if not self._by_network[ticket.network]:
                del self._by_network[ticket.network]
        if not self._tickets:
            emptied, self._emptied = self._emptied, []
            for call in emptied:
                call()


class Ticket:
    """The place of one socket in the budget; held from `admit` or `dialed` to `release`."""

    __slots__ = ("_budget", "idle", "inbound", "is_authenticated", "network", "socket")

    def __init__(self, budget: ConnectionBudget, inbound: bool, network: str | None) -> None:
        self.inbound = inbound
        self.network = network
        self.is_authenticated = False
        self.socket: Socket | None = None
        """The socket, as soon as there is one to abort."""
        self.idle: Callable[[], float] | None = None
        """Tells for how many seconds the connection has had no use; without it, it counts as in use."""
        self._budget: ConnectionBudget | None = budget

    def authenticated(self) -> bool:
        """The handshake is over: whether there is a place for one more known peer. If not, drop the socket."""
        if self.inbound and not self.is_authenticated:
            self.is_authenticated = self._budget is not None and self._budget._authenticated(self)
            return self.is_authenticated
        self.is_authenticated = True
        return True

    def idle_seconds(self) -> float:
        """See `idle`."""
        return 0.0 if self.idle is None else self.idle()

    def release(self) -> None:
        """The socket is closed. Further calls do nothing."""
        budget, self._budget = self._budget, None
        if budget is not None:
            self.socket = self.idle = None
            budget._released(self)


def network_of(host: IPv4Address | IPv6Address) -> str:
    """What counts as one stranger: an IPv4 address, or an IPv6 /56, which is what a household gets."""
    return str(host) if host.version == 4 else str(ip_network((host, 56), strict=False))
