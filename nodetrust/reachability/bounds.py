"""How much is dialled at once, for one peer and network and for all, and how often. Pure.

One who asks pays for each address that is dialled, from a bucket of its own and from that of its network (an IPv4
address, an IPv6 /56), so that making up peers is of no use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nodetrust.libp2p.limits import network_of
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.token_bucket import TokenBucket
from nodetrust.messages import E_RATE_LIMIT
from nodetrust.quotas import BucketsInMemory, Draw, Exhausted, Limit
from nodetrust.reachability.decide import MAX_ADDRESSES, Asker
from nodetrust.reachability.errors import Refusal

MAX_DIALS = 128
"""At once, each a file descriptor: half of those that a role keeps for its own connections."""

MAX_DIALS_PER_NETWORK = MAX_ADDRESSES
"""At once: one full request. And as many connections as go-libp2p and our hosts take from the server's one address."""

PERIOD_SECONDS = 600.0
DIALS_PER_PEER = 16
"""In a period: at an honest peer one or two at each start, and whenever it has moved or was not reachable."""
DIALS_PER_NETWORK = 32
"""In a period: a few peers of one household."""

BURST = 60
CHECKS_PER_SECOND = 5.0
"""For everybody together, beyond a burst of 60: each dial takes some 10 ms of the server's CPU time."""

MAX_BUCKETS = 16_384
"""Some 5 MB."""

RETRY_SECONDS = 15.0
"""When there is room again where too much is dialled at the moment: as long as a check takes at most."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How often is dialled."""

    dials_per_peer: int = DIALS_PER_PEER
    dials_per_network: int = DIALS_PER_NETWORK
    burst: int = BURST
    checks_per_second: float = CHECKS_PER_SECOND


class Bounds:
    """Counts. Times are seconds on the clock of the reactor."""

    def __init__(self, rates: Rates = Rates()) -> None:
        self._rates = rates
        self._buckets = BucketsInMemory(MAX_BUCKETS)
        self._dials: Counter[str] = Counter()
        self._all = TokenBucket(rates.burst, rates.checks_per_second)

    @contextmanager
    def room(self, asker: Asker, dials: int, now: float) -> Iterator[None]:
        """Room for so many dials, until the block ends. Raises `Refusal` when it begins."""
        network = network_of(asker.ip)
        self._begin(asker.peer, network, dials, now)
        try:
            yield
        finally:
            self._dials[network] -= dials
            if not self._dials[network]:
                del self._dials[network]

    def _begin(self, peer: PeerId, network: str, dials: int, now: float) -> None:
        if self._dials[network] + dials > MAX_DIALS_PER_NETWORK:
            raise Refusal(E_RATE_LIMIT, f"other addresses are being checked for {network} just now", RETRY_SECONDS)
        if self._dials.total() + dials > MAX_DIALS:
            raise Refusal(E_RATE_LIMIT, "too many addresses are being checked just now", RETRY_SECONDS)
        draws = [
            Draw(Limit(f"peer/{peer}", self._rates.dials_per_peer, PERIOD_SECONDS), dials),
            Draw(Limit(f"network/{network}", self._rates.dials_per_network, PERIOD_SECONDS), dials),
        ]
        try:
            self._buckets.spend(draws, now)
        except Exhausted as error:
            raise Refusal(E_RATE_LIMIT, str(error), error.retry_after_seconds) from None
        if not self._all.take(now):
            self._buckets.refund(draws, now)
            raise Refusal(E_RATE_LIMIT, "too many peers ask for checks just now", RETRY_SECONDS)
        self._dials[network] += dials
