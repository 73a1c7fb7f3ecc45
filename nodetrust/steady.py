"""A reactor whose timers keep time when the machine's clock is set.

Twisted counts its timers by the time of day. Set forward, all of them fire at once; set back by an hour, none of them
fires for an hour. Here they go by a clock that nobody sets, and `reactor.seconds` stays the time of day.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

LOOK_SECONDS = 1.0
STEP_SECONDS = 0.5
"""Less than that is how a clock is kept right, and no step."""


class SteadyTime:
    """Made once for a reactor, before it runs; `keep` goes on until the process ends.

    `wall` and `steady` are `time.time` and `time.monotonic`. The reactor gets the latter as `monotonic`, for whoever
    measures how long something takes.
    """

    log = Logger()

    def __init__(self, reactor: Any, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        self._reactor = reactor
        self._wall = wall
        self._steady = steady
        self._ahead = wall() - steady()
        reactor.seconds = self.seconds
        reactor.monotonic = steady

    def seconds(self) -> float:
        """The time of day, as of the last look at the machine's clock."""
        return self._steady() + self._ahead

    def keep(self) -> None:
        """Look at the machine's clock every second."""
        self.look()
        self._reactor.callLater(LOOK_SECONDS, self.keep)

    def look(self) -> None:
        """If the clock was set, go by it, and have all timers wait for as long as before."""
        step = self._wall() - self.seconds()
        if abs(step) < STEP_SECONDS:
            return
        self._ahead += step
        for call in self._reactor.getDelayedCalls():
            call.delay(step)
        self.log.warn("the clock was set {direction} by {seconds:.0f} s", direction=_side(step), seconds=abs(step))


def _side(step: float) -> str:
    return "forward" if step > 0 else "back"
