"""The ACME challenges that the issue server has set: the table of them (pure).

RFC 8555 §8.4. Times are seconds of one monotonic clock, handed in: setting the wall clock loses nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from nodetrust.dns.errors import ChallengeRefused
from nodetrust.dns.records import Name, name_to_text
from nodetrust.messages import E_RATE_LIMIT

DEFAULT_LIFE_SECONDS = 600.0  # an order takes seconds; a CA tries again for a few minutes
MAX_LIFE_SECONDS = 3600.0
MAX_VALUES_PER_NAME = 8  # a name and its wildcard, in a few orders at once
MAX_VALUES = 100_000  # about 40 MB; the load we promise is half of it


@dataclass(frozen=True, slots=True, order=True)
class Challenge:
    """A TXT value for `_acme-challenge.<name>`; `name` is whole (zone included) and in lower case."""

    name: Name
    value: bytes


class ChallengeTable:
    """The values in force. Each lives for `life_seconds` from when it was last added; what it costs does not grow with
    the number of values."""

    def __init__(self, life_seconds: float = DEFAULT_LIFE_SECONDS) -> None:
        if not 0 < life_seconds <= MAX_LIFE_SECONDS:
            raise ValueError(f"a challenge lives for more than 0 and at most {MAX_LIFE_SECONDS:.0f} seconds")
        self.life_seconds = life_seconds
        self._values: dict[Name, dict[bytes, float]] = {}  # in both: when it ends
        self._by_end: OrderedDict[Challenge, float] = OrderedDict()  # one life for all, so the order is that of adding

    def __len__(self) -> int:
        return len(self._by_end)

    def __contains__(self, challenge: Challenge) -> bool:
        return challenge in self._by_end

    def add(self, challenge: Challenge, now: float) -> None:
        """Put a value beside the others of its name, or begin its life again.

        Raises ChallengeRefused when the name or the table is full.
        """
        self.expire(now)
        if challenge not in self._by_end:
            if len(self._values.get(challenge.name, ())) >= MAX_VALUES_PER_NAME:
                text = f"{name_to_text(challenge.name)} has {MAX_VALUES_PER_NAME} values already"
                raise ChallengeRefused(E_RATE_LIMIT, text)
            if len(self._by_end) >= MAX_VALUES:
                raise ChallengeRefused(E_RATE_LIMIT, "this server is full of challenges")
        self.remove(challenge)
        self._by_end[challenge] = self._values.setdefault(challenge.name, {})[challenge.value] = now + self.life_seconds

    def remove(self, challenge: Challenge) -> None:
        """Take a value away; one that is not there is away already."""
        if self._by_end.pop(challenge, None) is None:
            return
        values = self._values[challenge.name]
        del values[challenge.value]
        if not values:
            del self._values[challenge.name]

    def expire(self, now: float) -> None:
        """Forget the values whose time is up."""
        while self._by_end:
            challenge, end = next(iter(self._by_end.items()))
            if end > now:
                return
            self.remove(challenge)

    def snapshot(self, now: float) -> tuple[tuple[Challenge, float], ...]:
        """All values in force with the seconds that each has left, the one that ends first in front."""
        return tuple((challenge, end - now) for challenge, end in self._by_end.items() if end > now)

    def restore(self, challenge: Challenge, seconds_left: float, now: float) -> None:
        """Put back what `snapshot` gave, in its order."""
        self.add(challenge, now + seconds_left - self.life_seconds)

    def values(self, name: Name, now: float) -> tuple[tuple[bytes, float], ...]:
        """The values for `_acme-challenge.<name>` with the seconds that each has left, the newest first."""
        values = self._values.get(name)
        if not values:
            return ()
        return tuple((value, end - now) for value, end in reversed(values.items()) if end > now)
