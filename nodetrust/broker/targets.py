"""How often others' addresses are dialled, whoever asks for it. Pure.

What bounds those who ask is of no use to whom they name: they may be many. So each address that is dialled has a bucket
of its own, an IPv6 address that of its /64 and that of its /48. A dial that meets the node costs nothing: whoever runs
one is not disturbed. Neither does a dial to the address that the request came from: who asks pays for it elsewhere
(`reachability.bounds`), and strangers who use up an address do not keep those out who are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from nodetrust.names import IPAddress
from nodetrust.quotas import BucketsInMemory, Draw, Exhausted, Limit

PERIOD_SECONDS = 600.0

DIALS_PER_ADDRESS = 32
"""In a period, of an IPv4 address or an IPv6 /64: four requests with all their dials, and then one in 19 seconds."""

DIALS_PER_48 = 128
"""In a period, of an IPv6 /48, which is one customer's or a site's."""

MAX_BUCKETS = 16_384
"""Some 5 MB."""


class Targets:
    """Counts. Times are seconds on the clock of the reactor."""

    def __init__(self) -> None:
        self._buckets = BucketsInMemory(MAX_BUCKETS)

    def draw(self, target: IPAddress, asker: IPAddress, now: float) -> float:
        """Count a dial that is about to begin, and return 0; or for how many seconds none may."""
        try:
            self._buckets.spend(_draws(target, asker), now)
        except Exhausted as error:
            return error.retry_after_seconds
        return 0.0

    def met(self, target: IPAddress, asker: IPAddress, now: float) -> None:
        """A dial that was counted has met the node."""
        self._buckets.refund(_draws(target, asker), now)


def _draws(target: IPAddress, asker: IPAddress) -> Sequence[Draw]:
    if _key(target) == _key(asker):
        return ()
    draws = [Draw(Limit(_key(target), DIALS_PER_ADDRESS, PERIOD_SECONDS))]
    if target.version == 6:
        draws.append(Draw(Limit(_prefix(target, 48), DIALS_PER_48, PERIOD_SECONDS)))
    return draws


def _key(ip: IPAddress) -> str:
    return str(ip) if ip.version == 4 else _prefix(ip, 64)


def _prefix(ip: IPAddress, bits: int) -> str:
    return str(ip_network((ip, bits), strict=False))
