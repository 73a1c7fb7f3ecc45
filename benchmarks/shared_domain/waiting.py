"""Those that were told to come back: by the bucket that was empty, and in no order but chance.

The server keeps no queue of refused peers. When a token is there, the one that asks first gets it: an honest peer asks
when it was told to, give or take, and one that asks more often is more often the first.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from benchmarks.shared_domain.tally import Asker

Ticket = tuple[Asker, int]
"""Somebody who waits, and for which of its wishes."""


@dataclass(slots=True)
class Crowd:
    """Those that wait for one bucket."""

    weight: float
    """How often a Sybil asks, where an honest peer asks once."""
    honest: list[Ticket] = field(default_factory=list)
    sybils: list[Ticket] = field(default_factory=list)

    def add(self, asker: Asker) -> None:
        """Somebody who was refused."""
        (self.sybils if asker.sybil else self.honest).append((asker, asker.wish))

    @property
    def eagerness(self) -> float:
        """As of so many honest peers."""
        return len(self.honest) + self.weight * len(self.sybils)

    def next(self, randomness: random.Random) -> Asker | None:
        """The one that asks first; None when nobody waits any more."""
        while self.honest or self.sybils:
            weight = len(self.sybils) * self.weight
            crowd = self.sybils if randomness.random() * (weight + len(self.honest)) < weight else self.honest
            at = randomness.randrange(len(crowd))
            crowd[at], crowd[-1] = crowd[-1], crowd[at]
            asker, wish = crowd.pop()
            if asker.wish == wish:
                return asker
        return None
