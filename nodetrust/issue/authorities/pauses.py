"""How long who failed is left alone. Pure: times are seconds since the epoch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace

STEPS_SECONDS = (60.0, 600.0, 6000.0, 86400.0)
"""After the first failure in a row, the second, and so on; Let's Encrypt asks for just these
(<https://letsencrypt.org/docs/integration-guide/#retrying-failures>)."""

LONGEST_SECONDS = STEPS_SECONDS[-1]
"""A Retry-After is at most a day by the time that it comes here."""

MAX_REMEMBERED = 10_000
"""Keys of a `PauseBook`; past it the oldest goes."""


@dataclass(frozen=True, slots=True)
class Pause:
    """After so many failures in a row, nothing until then. `since`: when the last of them was noted."""

    failures: int
    until: float
    since: float
    reason: str

    def seconds_left(self, now: float) -> float:
        """0 when it is over, also when it lies further ahead than it can have been set: the clock was set back."""
        left = self.until - now
        return max(left, 0.0) if left <= 2 * LONGEST_SECONDS else 0.0


def next_pause(
    before: Pause | None, began: float, now: float, reason: str, asked_seconds: float | None = None
) -> Pause:
    """The pause after an attempt that `began` then and has failed now; `asked_seconds` is a Retry-After.

    Attempts that ran side by side and fail together count as one failure.
    """
    if before is not None and began <= before.since <= now:
        return replace(before, until=max(before.until, now + min(asked_seconds or 0.0, LONGEST_SECONDS)))
    failures = 1 if before is None else before.failures + 1
    step = STEPS_SECONDS[min(failures, len(STEPS_SECONDS)) - 1]
    return Pause(failures, now + min(max(step, asked_seconds or 0.0), LONGEST_SECONDS), now, reason)


class PauseBook:
    """The pauses of many keys, in memory, the most recent `MAX_REMEMBERED` of them."""

    def __init__(self) -> None:
        self._pauses: OrderedDict[Hashable, Pause] = OrderedDict()

    def get(self, key: Hashable) -> Pause | None:
        """The pause of this key, also one that is over: the next failure is the next step."""
        return self._pauses.get(key)

    def failed(self, key: Hashable, began: float, now: float, reason: str, asked_seconds: float | None = None) -> Pause:
        """Note a failure; returns the pause."""
        pause = next_pause(self._pauses.get(key), began, now, reason, asked_seconds)
        self._keep(key, pause)
        return pause

    def rest(self, key: Hashable, seconds: float, now: float, reason: str) -> None:
        """A pause of so many seconds, which is no step: the fault was somebody else's."""
        before = self._pauses.get(key)
        self._keep(key, Pause(0 if before is None else before.failures, now + seconds, now, reason))

    def forget(self, key: Hashable) -> None:
        """It went well."""
        self._pauses.pop(key, None)

    def _keep(self, key: Hashable, pause: Pause) -> None:
        self._pauses[key] = pause
        self._pauses.move_to_end(key)
        if len(self._pauses) > MAX_REMEMBERED:
            self._pauses.popitem(last=False)
