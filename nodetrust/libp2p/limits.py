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


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers; each is for one host."""

    inbound_connections: int = 512
    """Sockets accepted and still open. Half of the 1024 file descriptors that a process usually may have."""
    connections_per_network: int = 8
    """Of these, from one IPv4 address or one IPv6 /56, as in go-libp2p. Loopback is exempt."""
    handshakes: int = 64
    """Of these, not yet authenticated; go-libp2p's "transient" connections."""
    connections_per_peer: int = 8
    """Connections that one peer ID holds open, as in go-libp2p."""
    requests_per_connection: int = 32
    """Request handlers that run at once for one connection."""


class Socket(Protocol):
    """What the budget wants of a socket."""

    def abortConnection(self) -> None:
        """Drop it now."""


class ConnectionBudget:
    """Counts accepted sockets against the `Limits`, and knows all that are open, dialed ones too."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_network: Counter[str] = Counter()
        self._tickets: set[Ticket] = set()
        self._emptied: list[Callable[[], None]] = []
        self.inbound = 0
        self.handshakes = 0

    @property
    def open(self) -> int:
        """How many sockets there are, dialed and accepted."""
        return len(self._tickets)

    def admit(self, host: IPv4Address | IPv6Address) -> Ticket | None:
        """A ticket for one more socket from `host`, or None if that would be too many."""
        network = None if host.is_loopback else _network(host)
        if self.inbound >= self._limits.inbound_connections or self.handshakes >= self._limits.handshakes:
            return None
        if network is not None:
            if self._by_network[network] >= self._limits.connections_per_network:
                return None
            self._by_network[network] += 1
        self.inbound += 1
        self.handshakes += 1
        return self._issue(Ticket(self, inbound=True, network=network))

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

    def _released(self, ticket: Ticket) -> None:
        self._tickets.discard(ticket)
        if ticket.inbound:
            self.inbound -= 1
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

    def __init__(self, budget: ConnectionBudget, inbound: bool, network: str | None) -> None:
        self.inbound = inbound
        self.network = network
        self.is_authenticated = False
        self.socket: Socket | None = None
        """The socket, as soon as there is one to abort."""
        self._budget = budget
        self._released = False

    def authenticated(self) -> None:
        """The handshake is over: the socket no longer counts as one of unknown owner."""
        if not self.is_authenticated:
            self.is_authenticated = True
            if self.inbound:
                self._budget.handshakes -= 1

    def release(self) -> None:
        """The socket is closed. Further calls do nothing."""
        if not self._released:
            self._released = True
            self.authenticated()
            self.socket = None
            self._budget._released(self)


def _network(host: IPv4Address | IPv6Address) -> str:
    return str(host) if host.version == 4 else str(ip_network((host, 56), strict=False))
