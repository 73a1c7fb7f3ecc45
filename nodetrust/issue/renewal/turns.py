"""When each of a crowd may come back to a limit that is used up. Pure.

Told the same wait, they would all come back at the same moment, and all but one in vain.
"""

from __future__ import annotations

from nodetrust.quotas import Limit

LONGEST_SECONDS = 86400.0
"""As far ahead as turns are given. When they are all given, one is told a moment of a whole day, by chance."""

MAX_LIMITS = 1000
"""Limits with a queue that are remembered; a server has a handful."""


class Turns:
    """Who is refused for the sake of the same limit is told one token's time later than the one before."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def seconds_to_turn(self, limit: Limit, retry_after_seconds: float, now: float, chance: float) -> float:
        """How long the next one shall wait, at least `retry_after_seconds`; `chance` is 0 to 1.

        `now` is in seconds; a clock that was set back ends the queue.
        """
        token_seconds = limit.period_seconds / limit.amount if limit.amount else limit.period_seconds
        first = now + retry_after_seconds
        last = first + LONGEST_SECONDS
        turn = self._next.get(limit.key, first)
        if turn > last + token_seconds:
            turn = first
        elif turn > last:
            return retry_after_seconds + chance * LONGEST_SECONDS
        turn = max(turn, first)
        if len(self._next) >= MAX_LIMITS:
            self._next.clear()
        self._next[limit.key] = turn + token_seconds
        return turn - now
