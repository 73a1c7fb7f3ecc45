"""Response rate limiting: how many answers a source gets over UDP, and all sources of its neighbourhood together.

Each level of the ladder (one address, its /24, its /20 ...) has a token bucket of its own for each prefix, kept as the
time at which it will be full again (GCRA, ITU-T I.371), in a table of fixed size. A prefix's place there is a hash that
nobody outside can foresee; prefixes that share a place share a bucket.

Few resolvers ever ask so much that any level could be empty. So a first look only counts, second by second, the
queries of the widest prefix for which a small number proves that it is not; the others climb the ladder.
"""

from __future__ import annotations

import enum
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from nodetrust.dns.limits.sources import IPV4_BYTES, unmapped
from nodetrust.lists.prefixes import Network, PrefixSet

DEFAULT_RATE = 200
"""Answers a second for one address: what NSD's manual proposes, four times Knot's default."""

DEFAULT_SLIP = 2

EXEMPT: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
"""No packet from the network can have these sources: operating systems drop them."""

_BURST_SECONDS = 2.5  # what may come at once, in seconds of the rate: Knot's 125 to 50
_LADDERS = {4: ((32, 1), (24, 32), (20, 256), (18, 768)), 16: ((128, 1), (64, 2), (56, 3), (48, 4), (32, 64))}
"""Knot's prefix lengths, and how many times the rate of one address each may have; by the octets of an address."""

# The first look is at an IPv4 /24: with at most one address's rate from each, no level above can be over its own (a /18
# has 64 of them, and 768 times the rate). And at an IPv6 /32, which is the widest level itself.
_NOWHERE = bytes(4)  # ::/32 has IPv4-mapped addresses, and no others that come from a network
_QUIET_SECONDS = 1.0
_MAX_QUIET = 1 << 16  # prefixes counted in a second; who comes later climbs the ladder at once
_MAX_KNOWN_EXEMPT = 1024  # addresses that ask much and may, remembered so that their queries are not even counted
_SLOTS = 1 << 16  # for each level: 512 KiB


class Decision(enum.IntEnum):
    """What a query gets, from everything to nothing."""

    ANSWER = 0
    BRIEF = 1
    """An answer, but truncated if it is much larger than the query: many queries come from this neighbourhood."""

    SLIP = 2
    """An empty answer with TC: an honest client asks again over TCP, which no forger can."""

    DROP = 3


_ANSWER = Decision.ANSWER


@dataclass(slots=True)
class _Level:
    shift: int
    """How many of the address's bits are below the prefix."""
    seconds_each: float
    full_at: array[float]


class RateLimiter:
    """The limits of one process. `rate` is answers a second for one address; every `slip`-th query over it gets SLIP,
    the others DROP (0: all of them DROP). Memory does not depend on who asks."""

    def __init__(
        self,
        rate: int = DEFAULT_RATE,
        slip: int = DEFAULT_SLIP,
        exempt: Iterable[Network] = EXEMPT,
        slots: int = _SLOTS,
    ) -> None:
        if rate < 1 or slip < 0:
            raise ValueError("a rate is at least 1 a second, and every how many queries slips is not negative")
        self._quiet_limit = max(1, int(rate * _QUIET_SECONDS))
        self._slip = slip
        self._limited = 0
        self._exempt = PrefixSet(exempt)
        self._known_exempt: set[bytes] = set()
        self._ladders = {size: _levels(size, rate, slots) for size in _LADDERS}
        self._slots = slots
        self._counts: dict[bytes, int] = {}
        self._loud: frozenset[bytes] = frozenset()
        self._counts_end = 0.0

    def decide(self, source: bytes, now: float) -> Decision:
        """For one query from `source` (4 or 16 octets) at `now`, seconds of a monotonic clock; it is counted."""
        return self.decide_all((source,), now)[0]

    def decide_all(self, sources: Sequence[bytes], now: float) -> list[Decision]:
        """For queries that arrived together, one decision each."""
        if self._known_exempt.issuperset(sources):
            return [_ANSWER] * len(sources)
        if now >= self._counts_end:
            self._next_second(now)
        counts, loud, most = self._counts, self._loud, self._quiet_limit
        decisions = []
        for source in sources:
            key = source[:3] if len(source) == IPV4_BYTES else source[:4]
            if key == _NOWHERE and len(plain := unmapped(source)) == IPV4_BYTES:
                decisions.append(self.decide(plain, now))
                continue
            count = counts.get(key, 0) + 1
            if count > most or (loud and key in loud) or (count == 1 and len(counts) >= _MAX_QUIET):
                decisions.append(self._climb(source, key, count, now))
            else:
                counts[key] = count
                decisions.append(_ANSWER)
        return decisions

    def give_back(self, source: bytes, decision: Decision) -> None:
        """Undo the counting of a query that got `decision`: its source is not forged, so its prefix pays nothing."""
        source = unmapped(source)
        if source in self._known_exempt:
            return
        key = source[:3] if len(source) == IPV4_BYTES else source[:4]
        if self._counts.get(key):
            self._counts[key] -= 1
        if decision is Decision.BRIEF:
            for level, place in self._places(source):
                level.full_at[place] -= level.seconds_each

    def _next_second(self, now: float) -> None:
        """Who was loud stays on the ladder for this second too; a flood that pauses begins with an allowance again."""
        recent = self._counts if now < self._counts_end + _QUIET_SECONDS else {}
        self._loud = frozenset(key for key, count in recent.items() if count > self._quiet_limit)
        self._counts = {}
        self._counts_end = now + _QUIET_SECONDS

    def _climb(self, source: bytes, key: bytes, count: int, now: float) -> Decision:
        if key in self._counts or len(self._counts) < _MAX_QUIET:
            self._counts[key] = count
        if source in self._exempt:
            if len(self._known_exempt) < _MAX_KNOWN_EXEMPT:
                self._known_exempt.add(source)
            return Decision.ANSWER
        places = self._places(source)
        if any(level.full_at[place] - now > _BURST_SECONDS for level, place in places):
            return self._limit()
        for level, place in places:
            level.full_at[place] = max(level.full_at[place], now) + level.seconds_each
        return Decision.BRIEF

    def _places(self, source: bytes) -> list[tuple[_Level, int]]:
        address = int.from_bytes(source, "big")
        places = []
        for level in self._ladders[len(source)]:
            prefix = (address >> level.shift).to_bytes(16, "big")
            places.append((level, hash(prefix) % self._slots))  # of octets Python's hash is keyed, of numbers it is not
        return places

    def _limit(self) -> Decision:
        if not self._slip:
            return Decision.DROP
        self._limited = (self._limited + 1) % self._slip
        return Decision.DROP if self._limited else Decision.SLIP


def _levels(size: int, rate: int, slots: int) -> tuple[_Level, ...]:
    return tuple(
        _Level(8 * size - length, 1 / (rate * multiplier), array("d", bytes(8 * slots)))
        for length, multiplier in _LADDERS[size]
    )
