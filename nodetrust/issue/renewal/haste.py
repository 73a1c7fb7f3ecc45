"""Very many certificates to be renewed early, as when a CA revokes: how many, and how long it takes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodetrust.issue.renewal.plan import Estimate, estimate
from nodetrust.quotas import Limit

MANY = 100
"""So many at once are no daily business."""

ROUND_SECONDS = 7.5 * 3600.0
"""In which each certificate is asked about: six hours and a quarter, the longest wait from one look to the next."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """`due` certificates are known to be due early, `expected` with those that are not asked about yet."""

    due: int
    expected: int
    estimate: Estimate


class Haste:
    """Counts the answers of a round, which begins with the first early one. Times are seconds."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._asked = 0
        self._early = 0

    def asked(self, now: float, *, early: bool) -> None:
        """A CA has told a window; `early`: it is over, though a third of the certificate's life is left."""
        if self._began is not None and not 0 <= now - self._began < ROUND_SECONDS:
            self._began = None
        if self._began is None:
            self._asked = self._early = 0
            self._began = now if early else None
        self._asked += 1
        self._early += early

    def is_many(self, now: float) -> bool:
        """Whether this round has had very many early ones."""
        return self._began is not None and 0 <= now - self._began < ROUND_SECONDS and self._early >= MANY

    def outlook(self, due: int, good: int, limits: Sequence[Limit], now: float) -> Outlook:
        """What is to come, if it goes on with the `good` certificates that are not asked about as with the others."""
        left = max(0, good - self._asked)
        expected = due + round(left * self._early / max(1, self._asked))
        round_left = 0.0 if self._began is None or not left else max(0.0, ROUND_SECONDS - (now - self._began))
        found = estimate(expected, limits, now)
        if found.limit is None:
            found = Estimate(round_left + found.seconds, None)
        return Outlook(due, expected, found)


def tell(outlook: Outlook) -> str:
    """In words, for the operator."""
    hours = max(1, round(outlook.estimate.seconds / 3600))
    limit = outlook.estimate.limit
    if limit is None:
        pace = "as fast as the CA says which, and the peers ask"
    else:
        pace = f"at the limits of {limit.amount:g} in {_period(limit.period_seconds)} ({limit.key})"
    more = f", {outlook.expected:,} are to be expected" if outlook.expected > outlook.due else ""
    return f"{outlook.due:,} certificates are due by the CA's word{more}: about {hours} hours, {pace}"


def _period(seconds: float) -> str:
    return f"{seconds / 86400:g} days" if seconds >= 2 * 86400 else f"{seconds / 3600:g} h"
