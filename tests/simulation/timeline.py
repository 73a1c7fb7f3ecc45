"""Time that is told, for very many timers; and what machines with wrong clocks take it for."""

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

HOUR = 3600.0
DAY = 24 * HOUR


class ImmediatePool:
    """A thread pool without threads."""

    def callInThreadWithCallback(self, done: Callable[[bool, Any], None], call: Any, *args: Any, **kwargs: Any) -> None:
        done(True, call(*args, **kwargs))


class Timeline:
    """The true time, in seconds. `twisted.internet.task.Clock` sorts all timers at each new one; this has a heap."""

    def __init__(self, begin: float) -> None:
        self._now = begin
        self._calls: list[tuple[float, int, DelayedCall]] = []
        self._number = count()

    def seconds(self) -> float:
        """Now."""
        return self._now

    def call_later(self, delay: float, seconds: Callable[[], float], call: Any, *args: Any, **kwargs: Any) -> Any:
        """A timer; `seconds` is the clock of the machine that it is on."""
        timer = DelayedCall(self._now + delay, call, args, kwargs, lambda _: None, lambda _: None, seconds)
        heapq.heappush(self._calls, (timer.getTime(), next(self._number), timer))
        return timer

    def run_until(self, end: float) -> None:
        """Let time pass."""
        while self._calls and self._calls[0][0] <= end:
            at, _, timer = heapq.heappop(self._calls)
            if timer.cancelled:
                continue
            self._now = max(self._now, at)
            timer.called = 1
            timer.func(*timer.args, **timer.kw)
        self._now = end

    def run_for(self, seconds: float) -> None:
        """Let so much time pass."""
        self.run_until(self._now + seconds)


@implementer(IReactorTime)
class Machine:
    """The reactor of one machine. Its clock may be set; its timers go by the time that passes."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.ahead = 0.0

    def seconds(self) -> float:
        """The time of day, as this machine takes it."""
        return self.timeline.seconds() + self.ahead

    def monotonic(self) -> float:
        """As `SteadyTime` gives it to a reactor: a clock that is never set."""
        return self.timeline.seconds()

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> Any:
        return self.timeline.call_later(delay, self.seconds, callable, *args, **kwargs)

    def callFromThread(self, call: Any, *args: Any, **kwargs: Any) -> None:
        call(*args, **kwargs)

    def getThreadPool(self) -> ImmediatePool:
        return ImmediatePool()

    def getDelayedCalls(self) -> list[Any]:
        return []
