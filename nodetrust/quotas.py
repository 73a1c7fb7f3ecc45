"""Budgets that outlive a restart: token buckets, each kept as one number. Pure.

A bucket of `amount` tokens that fills up in `period_seconds` is full as long as nobody draws from it. Its state is the
theoretical arrival time of the generic cell rate algorithm (ITU-T I.371): the time, in seconds since the epoch, at
which it will be full again. So it needs no timer, and a bucket that is full needs no row. Let's Encrypt counts in the
same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodetrust.errors import NodetrustError

ROUNDING = 0.01
"""Of a token: how much may be missing. Seconds since the epoch are only exact to some 10⁻⁷ in a float."""


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
    """So many tokens of a bucket."""

    limit: Limit
    cost: float = 1.0

    @property
    def seconds(self) -> float:
        """How long the bucket takes to get them back."""
        return self.cost * self.limit.period_seconds / self.limit.amount


class Exhausted(NodetrustError):
    """A bucket does not have what was to be drawn; of several, the one for which one has to wait longest."""

    def __init__(self, limit: Limit, retry_after_seconds: float) -> None:
        super().__init__(f"the quota {limit.key} is used up: try again in {_spoken(retry_after_seconds)}")
        self.limit = limit
        self.retry_after_seconds = retry_after_seconds


def spend(states: Mapping[str, float], draws: Sequence[Draw], now: float) -> dict[str, float]:
    """The new states of the buckets that are drawn from: all draws, or none and `Exhausted`.

    A bucket without a state is full. `now` is in seconds since the epoch. A bucket that can never hold the cost is
    always exhausted, for a period at a time.
    """
    spent: dict[str, float] = {}
    worst: Exhausted | None = None
    for draw in draws:
        limit = draw.limit
        state = _current(spent.get(limit.key, states.get(limit.key)), limit, now)
        if limit.amount < draw.cost:
            wait = limit.period_seconds
        else:
            wait = state + draw.seconds - now - limit.period_seconds
            spent[limit.key] = state + draw.seconds
        if wait > ROUNDING * limit.period_seconds / max(limit.amount, 1) and (
            worst is None or wait > worst.retry_after_seconds
        ):
            worst = Exhausted(limit, wait)
    if worst is not None:
        raise worst
    return spent


def refund(states: Mapping[str, float], draws: Sequence[Draw], now: float) -> dict[str, float]:
    """The new states of the buckets that get back what was drawn; one that is full already is left out."""
    given: dict[str, float] = {}
    for draw in draws:
        limit = draw.limit
        if limit.key in states and draw.cost <= limit.amount:
            state = _current(given.get(limit.key, states[limit.key]), limit, now)
            given[limit.key] = max(now, state - draw.seconds)
    return given


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
