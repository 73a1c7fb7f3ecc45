"""All DNS servers of the zone: a challenge is set on all at once, and removed from all when its order is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import TimeoutError, gatherResults
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.challenges.enough import enough
from nodetrust.challenges.errors import DnsServerError
from nodetrust.challenges.outbox import Challenge
from nodetrust.challenges.server import DnsServer
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId

PUBLISH_SECONDS = 60.0
"""How long an order waits for DNS servers that cannot be reached; an order has five minutes in all."""

WITHDRAW_SECONDS = 1.0
"""How long `withdraw` waits for an answer; the servers are told until they confirm, however long that takes."""

LOOK_SECONDS = 5.0
"""How often it is looked whether a server that did not answer does again; no order needs to ask for that."""

LOOKS_PER_LOOK = 6
"""A server that answers is looked at this much less often."""

STOP_SECONDS = 1.0
"""What a stop gives the servers to confirm what they are being told; they forget challenges by themselves later."""


@dataclass(frozen=True, slots=True)
class DnsServerState:
    """How a DNS server is, for the operator."""

    peer: PeerId
    answers: bool
    trouble: str
    """What went wrong the last time, empty where nothing did."""
    pending: int
    """Challenges that it has yet to be told to set or to remove."""


class DnsServers:
    """All DNS servers of the zone, each a libp2p peer; connections to them are kept and reused.

    `confirmations` of them (0: all) must have a challenge before `publish` returns. The others are told all the same,
    and one that is down is told when it is back. Nothing of this outlives the process: whoever has records of an order
    that is not over publishes or withdraws them again after a restart, which does no harm.
    """

    log = Logger()

    def __init__(self, clock: Any, host: Host, addresses: Iterable[Multiaddr], confirmations: int = 0) -> None:
        by_peer: dict[PeerId, list[Multiaddr]] = {}
        for address in addresses:
            if address.peer_id is not None:
                by_peer.setdefault(address.peer_id, []).append(address)
        self._clock = clock
        self._servers = [DnsServer(clock, host, peer, places) for peer, places in by_peer.items()]
        self._needed = confirmations or len(self._servers)
        self._looks = 0
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def start(self) -> None:
        """Look at each server now, and from time to time."""
        self._looking.start(LOOK_SECONDS).addErrback(self._log_bug)

    async def stop(self) -> None:
        """Give the servers a moment to confirm what they are being told, and end; before the host is stopped."""
        if self._looking.running:
            self._looking.stop()
        await gatherResults([server.stop(STOP_SECONDS) for server in self._servers])

    @property
    def states(self) -> tuple[DnsServerState, ...]:
        """How each of them is."""
        return tuple(DnsServerState(one.peer, one.answers, one.trouble, one.pending) for one in self._servers)

    def check(self) -> None:
        """Raise `DnsServerError` if so many were out of reach a moment ago that `publish` would wait for them.

        So an order need not be opened, at the cost of the CA's quota, which has little hope.
        """
        lacking = [server.trouble for server in self._servers if not server.answers]
        if len(self._servers) - len(lacking) < self._needed:
            raise DnsServerError(lacking[0])

    async def publish(self, challenges: Sequence[Challenge]) -> None:
        """Return when enough servers answer with all values.

        Raises `DnsServerError` when too many refuse, at once, or cannot be reached in `PUBLISH_SECONDS`; then, and when
        this is cancelled, the values are still to be withdrawn.
        """
        if not challenges:
            return
        attempts = [server.publish(challenges) for server in self._servers]
        try:
            await enough(attempts, self._needed).addTimeout(PUBLISH_SECONDS, self._clock)
        except TimeoutError:
            lacking = [server.trouble for server in self._servers if server.trouble]
            raise DnsServerError("; ".join(lacking) or "the DNS servers are too slow") from None

    async def withdraw(self, challenges: Sequence[Challenge], seconds: float = WITHDRAW_SECONDS) -> None:
        """Have every server forget the values: until it confirms, or has forgotten them by itself.

        Returns when as many have confirmed as `publish` needs, or that has failed at first, so many seconds from now at
        most. The rest goes on without the caller, and `owes` says whether there is any.
        """
        if not challenges:
            return
        attempts = [server.withdraw(challenges) for server in self._servers]
        with suppress(DnsServerError, TimeoutError):
            await enough(attempts, self._needed).addTimeout(seconds, self._clock)

    def owes(self, challenges: Sequence[Challenge]) -> bool:
        """Whether there is a server that has yet to be told to set, or to forget, one of these."""
        return any(server.owes(challenges) for server in self._servers)

    def _look(self) -> None:
        self._looks += 1
        for server in self._servers:
            if not server.answers or self._looks % LOOKS_PER_LOOK == 1:
                server.look()

    def _log_bug(self, failure: Failure) -> None:
        self.log.failure("looking at the DNS servers has failed, which is a bug", failure=failure)
