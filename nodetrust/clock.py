"""A reactor's clock that the system's clock can be set under: what waits goes on waiting for as long as it should.

Twisted's timers are moments of the system's clock. Where that is set back an hour, everything that waits (a poll, a
time limit, a sign of life) waits an hour longer; set forward, every time limit is over at once. The monotonic
clock shows that it was set, and by how much: then such timers are moved by as much, before the reactor looks at them.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify
from typing import Any

from twisted.logger import Logger
from twisted.python.threadable import isInIOThread

NOTICED_SECONDS = 1.0
"""A smaller step does no harm, and may be the drift between the two clocks."""

LONGEST_WAIT_SECONDS = 3600.0
"""What waits longer is planned for a time of day, and stays there: a renewal, say, in a computer that slept."""


class SteadyTimers:
    """Takes the place of a reactor's `seconds`: the time of day as the system has it, and timers that know no jumps.

    `wall` and `monotonic` are `time.time` and `time.monotonic`.
    """

    log = Logger()

    def __init__(self, reactor: Any, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._reactor = reactor
        self._wall = wall
        self._monotonic = monotonic
        self._ahead = wall() - monotonic()

    def __call__(self) -> float:
        """Seconds since the epoch. The reactor asks before it looks at its timers."""
        now = self._wall()
        jumped = now - self._monotonic() - self._ahead
        if abs(jumped) > NOTICED_SECONDS and isInIOThread():
            self._ahead += jumped
            self._move_timers(now - jumped, jumped)
            self.log.warn("the system's clock was set by {seconds:.1f} s", seconds=jumped)
        return now

    def _move_timers(self, before: float, seconds: float) -> None:
        # Twisted's own lists, for they have the cancelled ones, too: one that stays at the top hides those below it.
        pending, new = self._reactor._pendingTimedCalls, self._reactor._newTimedCalls
        for timer in [*pending, *new]:
            if timer.time - before <= LONGEST_WAIT_SECONDS:
                timer.time += seconds
        heapify(pending)


def make_steady(reactor: Any, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
    """Make this reactor's timers steady; see `SteadyTimers`. It gets `monotonic`, too, for whoever measures time."""
    reactor.seconds = SteadyTimers(reactor, wall, monotonic)
    reactor.monotonic = monotonic
