"""A reactor whose timers keep time when the machine's clock is set.

Twisted counts its timers by the time of day. Set forward, all of them fire at once; set back by an hour, none of them
fires for an hour. Here they go by a clock that nobody sets, and `reactor.seconds` stays the time of day.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

LOOK_SECONDS = 1.0
STEP_SECONDS = 0.5
"""Less than that is how a clock is kept right, and no step."""


class SteadyTime:
    """Made once for a reactor, before it runs; `keep` goes on until the process ends."""

    log = Logger()

    def __init__(
        self, reactor: Any, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._reactor = reactor
        self._wall = wall
        self._steady = steady
        self._ahead = wall() - steady()
        reactor.seconds = self.seconds

    def seconds(self) -> float:
        """The time of day, as of the last look at the machine's clock."""
        return self._steady() + self._ahead

    def keep(self) -> None:
        """Look at the machine's clock every second, on a thread: a timer could not be relied on."""
        threading.Thread(target=self._look_for_ever, name="steady", daemon=True).start()

    def look(self) -> None:
        """In the reactor's thread: if the clock was set, go by it, and have all timers wait for as long as before."""
        step = self._step()
        if abs(step) < STEP_SECONDS:
            return
        self._ahead += step
        for call in self._reactor.getDelayedCalls():
            call.delay(step)
        self.log.warn("the clock was set {direction} by {seconds:.0f} s", direction=_side(step), seconds=abs(step))

    def _step(self) -> float:
        return self._wall() - self.seconds()

    def _look_for_ever(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            if abs(self._step()) >= STEP_SECONDS:
                self._reactor.callFromThread(self.look)


def _side(step: float) -> str:
    return "forward" if step > 0 else "back"
