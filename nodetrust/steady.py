"""A reactor whose timers keep time when the machine's clock is set.

Twisted counts its timers by the time of day. Set forward, all of them fire at once; set back by an hour, none of them
fires for an hour. Here they go by a clock that nobody sets, and `reactor.seconds` stays the time of day.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

LOOK_SECONDS = 1.0
STEP_SECONDS = 0.5
"""Less than that is how a clock is kept right, and no step."""


class SteadyTime:
    """From `start` on the reactor goes by it; one at most for each reactor.

    `wall` and `steady` are `time.time` and `time.monotonic`. The reactor gets the latter as `monotonic`, for whoever
    measures how long something takes.
    """

    log = Logger()

    def __init__(self, reactor: Any, wall: Callable[[], float], steady: Callable[[], float]) -> None:
        self._reactor = reactor
        self._wall = wall
        self._steady = steady
        self._ahead = 0.0
        self._looking: IDelayedCall | None = None

    def seconds(self) -> float:
        """The time of day, as of the last look at the machine's clock."""
        return self._steady() + self._ahead

    def start(self) -> None:
        """Take the place of the reactor's clock, and look at the machine's every second."""
        self._ahead = self._wall() - self._steady()
        self._reactor.seconds = self.seconds
        self._reactor.monotonic = self._steady
        self._keep_looking()

    def stop(self) -> None:
        """Look no more; what still waits goes by the same clock as before."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _keep_looking(self) -> None:
        self.look()
        self._looking = self._reactor.callLater(LOOK_SECONDS, self._keep_looking)

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
