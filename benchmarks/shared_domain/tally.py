"""Who asks, and what is counted of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from benchmarks.shared_domain.parameters import WEEK
from nodetrust.issue.quota import Kind

CLASSES = ("new", "moved", "renewing", "sybil")
"""Honest peers that want their first certificate, one for another address, or the next one; and those made up."""

STARVED_SECONDS = WEEK
"""Who waits for longer than this is called starved."""


class Asker:
    """A peer."""

    __slots__ = (
        "address",
        "covered",
        "issued",
        "kind",
        "label",
        "leaves_at",
        "number",
        "shared",
        "since",
        "sybil",
        "wish",
    )

    def __init__(self, number: int, *, sybil: bool, leaves_at: float = math.inf) -> None:
        self.number = number
        self.sybil = sybil
        self.leaves_at = leaves_at
        self.address = 0
        self.shared = False
        self.kind: Kind | None = None
        """What it is waiting for; None if for nothing."""
        self.label = "sybil" if sybil else "new"
        """One of `CLASSES`, by what it wanted last."""
        self.since = 0.0
        self.wish = 0
        """Goes up with each wish, granted or not: what was about an older one is void."""
        self.issued = 0
        """How many certificates it got."""
        self.covered = False
        """Whether it has a certificate for where it is."""


@dataclass(slots=True)
class Waits:
    """One class's wishes."""

    seconds: list[float] = field(default_factory=list)
    """Of those that were granted."""
    unserved: list[float] = field(default_factory=list)
    """How long those have waited that never were: they left, or the end came."""

    @property
    def asked(self) -> int:
        """Wishes in all."""
        return len(self.seconds) + len(self.unserved)

    def percentile(self, part: float) -> float:
        """The wait after which that part of the wishes is granted, in seconds; infinite if it never came to that.

        Those that have not waited to the end count for as long as they did (Kaplan and Meier's estimator).
        """
        ends = sorted([(wait, 0) for wait in self.seconds] + [(wait, 1) for wait in self.unserved])
        waiting = 1.0
        for number, (wait, unserved) in enumerate(ends):
            if not unserved:
                waiting *= 1 - 1 / (len(ends) - number)
                if waiting <= 1 - part + 1e-9:
                    return wait
        return math.inf

    @property
    def starved(self) -> float:
        """The part of the wishes that took longer than a week; without those that are younger at the end."""
        late = sum(wait > STARVED_SECONDS for wait in self.seconds) + sum(
            wait > STARVED_SECONDS for wait in self.unserved
        )
        known = len(self.seconds) + sum(wait > STARVED_SECONDS for wait in self.unserved)
        return late / known if known else 0.0


@dataclass(slots=True)
class Tally:
    """What came of a world."""

    waits: dict[str, Waits] = field(default_factory=lambda: {label: Waits() for label in CLASSES[:3]})
    certificates: dict[str, list[int]] = field(default_factory=lambda: {label: [] for label in CLASSES})
    """By class, in each week."""
    sybils_waiting: int = 0
    """Peer IDs that were made up and have no certificate."""
    counted: list[int] = field(default_factory=list)
    """Those that the CA counts as certificates for new names, in each week."""
    coverage: list[tuple[float, float]] = field(default_factory=list)
    """Twice a day: the time, and the part of the honest peers with a certificate for where they are."""
    lost: int = 0
    """Honest peers whose certificate ran out while they waited for the next."""
    asks: int = 0
    """How often the quotas were asked."""

    def grow(self, week: int) -> None:
        """Begin with the figures of this week (from 0)."""
        for row in (*self.certificates.values(), self.counted):
            row.extend([0] * (week + 1 - len(row)))
