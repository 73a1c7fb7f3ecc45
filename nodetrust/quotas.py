"""Budgets that can outlive a restart: token buckets, each kept as one number. Pure.

A bucket of `amount` tokens that fills up in `period_seconds` is full as long as nobody draws from it. Its state is the
theoretical arrival time of the generic cell rate algorithm (ITU-T I.371): the time, in seconds since the epoch, at
which it will be full again. So it needs no timer, and a bucket that is full needs no row. Let's Encrypt counts in the
same way.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from nodetrust.errors import NodetrustError

ROUNDING = 0.01
"""Of a token, but at most of a second: how much may be missing. Seconds since the epoch are exact to some 10⁻⁷."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A bucket. `key` names it with its subject (`peer/12D3…`); changing the two figures keeps what was drawn."""

    key: str
    amount: float
    """How much can be drawn at once from a full bucket."""
    period_seconds: float
    """In which an empty bucket becomes full."""


@dataclass(frozen=True, slots=True)
class Draw:
    """So many tokens of a bucket.

    With `spare`, so many more must be there, and stay. With `rights`, they are kept for those who have had less: who
    has a token in each of the rights draws these tokens, too, and down to the last one of the bucket. So a scarce
    bucket is shared by rights, and what nobody has a right to is still given away.
    """

    limit: Limit
    cost: float = 1.0
    spare: float = 0.0
    rights: tuple[Limit, ...] = ()

    @property
    def keys(self) -> frozenset[str]:
        """Of all buckets that it may change."""
        return frozenset({self.limit.key, *(right.key for right in self.rights)})


class Exhausted(NodetrustError):
    """A bucket does not have what was to be drawn; of several, the one for which one has to wait longest.

    `reserved`: it has, but that is kept for others.
    """

    def __init__(self, limit: Limit, retry_after_seconds: float, *, reserved: bool = False) -> None:
        state = "kept for others" if reserved else "used up"
        super().__init__(f"the quota {limit.key} is {state}: try again in {_spoken(retry_after_seconds)}")
        self.limit = limit
        self.retry_after_seconds = retry_after_seconds
        self.reserved = reserved


def spend(states: Mapping[str, float], draws: Sequence[Draw], now: float) -> dict[str, float]:
    """The new states of the buckets that are drawn from: all draws, or none and `Exhausted`.

    A bucket without a state is full. `now` is in seconds since the epoch. A bucket that can never hold the cost is
    always exhausted, for a period at a time.
    """
    buckets = _Buckets(states, now)
    worst: Exhausted | None = None
    for draw in draws:
        refused = buckets.draw(draw)
        if refused is not None and (worst is None or refused.retry_after_seconds > worst.retry_after_seconds):
            worst = refused
    if worst is not None:
        raise worst
    return buckets.changed


def refund(states: Mapping[str, float], draws: Sequence[Draw], now: float) -> dict[str, float]:
    """The new states of the buckets that get back what was drawn; one that is full already is left out.

    Rights are given back, too, whether or not they were drawn: nobody knows any more. A draw of less than nothing is a
    debt: it is taken, whether or not it is there.
    """
    buckets = _Buckets(states, now)
    for draw in draws:
        buckets.give_back(draw.limit, draw.cost)
        for right in draw.rights:
            buckets.give_back(right, 1.0)
    return buckets.changed


class BucketsInMemory:
    """Buckets that a restart fills up. Of more than `most`, those are forgotten that are nearly full again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._states: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._states)

    def spend(self, draws: Sequence[Draw], now: float) -> None:
        """All draws, or none and `Exhausted`."""
        self._keep(spend(self._states, draws, now))

    def refund(self, draws: Sequence[Draw], now: float) -> None:
        """Give back what was drawn."""
        self._keep(refund(self._states, draws, now))

    def _keep(self, changed: Mapping[str, float]) -> None:
        self._states.update(changed)
        if len(self._states) > self._most:  # a state is when its bucket will be full: the least of them matter least
            self._states = dict(heapq.nlargest(self._most // 2, self._states.items(), key=itemgetter(1)))


class _Buckets:
    """The states at one moment, and those that are to be written."""

    def __init__(self, states: Mapping[str, float], now: float) -> None:
        self._states = states
        self._now = now
        self.changed: dict[str, float] = {}

    def draw(self, draw: Draw) -> Exhausted | None:
        """Take it, or say what is missing; then more may have been taken than is right, and nothing may be written."""
        limit = draw.limit
        wait, state = self._after(limit, draw.cost)
        reserved = False
        if draw.spare:
            unreserved, _ = self._after(limit, draw.cost + draw.spare)
            rights = [(right.key, *self._after(right, 1.0)) for right in draw.rights]
            entitled = max((wait for _, wait, _ in rights), default=limit.period_seconds)
            if entitled <= 0:
                self.changed.update({key: state for key, _, state in rights})
            elif unreserved > max(wait, 0):
                reserved, wait = wait <= 0 and bool(rights), max(wait, min(unreserved, entitled))
        if wait > 0:
            return Exhausted(limit, wait, reserved=reserved)
        if draw.cost:
            self.changed[limit.key] = state
        return None

    def give_back(self, limit: Limit, cost: float) -> None:
        """Put back, but never beyond full; a debt never beyond empty."""
        if 0 < limit.amount >= cost and (cost < 0 or limit.key in self._states):
            state = self._state(limit)
            empty = max(self._now + limit.period_seconds, state)
            self.changed[limit.key] = min(max(self._now, state - cost * limit.period_seconds / limit.amount), empty)

    def _after(self, limit: Limit, cost: float) -> tuple[float, float]:
        """Seconds until so much is there, 0 if it is; and the state when it is taken."""
        period, amount = limit.period_seconds, limit.amount
        if amount < cost:
            return period, self._now
        state = self._state(limit) + cost * period / amount
        wait = state - self._now - period
        return (wait if wait > ROUNDING * min(period / amount, 1.0) else 0.0), state

    def _state(self, limit: Limit) -> float:
        state = self.changed.get(limit.key)
        return _current(self._states.get(limit.key) if state is None else state, limit, self._now)


def _current(state: float | None, limit: Limit, now: float) -> float:
    """The state as it counts now.

    More than a period ahead, the clock was set back since. By less than a period, one waits for the same time as
    without that; by more, nothing is known and the bucket counts as full: so nobody is shut out for much longer than a
    period, without a state having to be written where nothing was drawn.
    """
    if state is None or state > now + 2 * limit.period_seconds:
        return now
    return max(state, now)


def _spoken(seconds: float) -> str:
    """A wait as a person says it, rounded up: 40 s, 12 min, 3 h, 2 d."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds > 2 * length:
            return f"{-int(-seconds // length)} {unit}"
    return f"{-int(-seconds // 1)} s"
