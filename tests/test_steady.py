"""Timers of a real reactor that is turned by hand, on clocks that are set."""

from collections.abc import Callable

from twisted.internet.selectreactor import SelectReactor
from twisted.internet.task import LoopingCall
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.steady import STEP_SECONDS, SteadyTime

DAY = 86400.0


class SteadyTimeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.wall, self.steady = 1e9, 50.0
        self.reactor = SelectReactor()
        self.addCleanup(self.reactor.removeAll)
        self.time = SteadyTime(self.reactor, lambda: self.wall, lambda: self.steady)
        self.time.start()
        self.fired: list[float] = []

    def note(self) -> None:
        self.fired.append(self.steady)

    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            self.wall += 1
            self.steady += 1
            self.time.look()
            self.reactor.runUntilCurrent()

    def each_jump(self, test: Callable[[], None]) -> None:
        for jump in (90 * DAY, -90 * DAY, -3650 * DAY, 10.0, -10.0):
            self.wall += jump
            self.fired.clear()
            test()

    def test_a_timer(self) -> None:
        """It waits for as long as it was told, whatever was done to the clock meanwhile."""

        def test() -> None:
            began = self.steady
            self.reactor.callLater(10, self.note)
            self.live(4)
            self.each_jump_inside()
            self.live(10)
            self.assertEqual(self.fired, [began + 10])

        self.each_jump(test)

    def each_jump_inside(self) -> None:
        for jump in (7 * DAY, -7 * DAY, 3600.0, -5000.0):
            self.wall += jump
            self.live(1)
            self.assertEqual(self.reactor.seconds(), self.wall)

    def test_a_loop(self) -> None:
        """It goes on at its pace."""
        loop = LoopingCall(self.note)
        loop.clock = self.reactor
        loop.start(5.0, now=False)

        def test() -> None:
            self.live(60)
            self.assertTrue(11 <= len(self.fired) <= 13, self.fired)

        self.each_jump(test)
        loop.stop()

    def test_a_cancelled_timer(self) -> None:
        """It stays that."""
        timer = self.reactor.callLater(10, self.note)
        self.wall -= DAY
        self.live(1)
        timer.cancel()
        self.live(20)
        self.assertEqual(self.fired, [])

    def test_the_time_of_day(self) -> None:
        """It is the machine's; a step is said, and what keeps a clock right is none."""
        with capturedLogs() as logged:
            self.wall += STEP_SECONDS / 2
            self.live(1)
            self.assertEqual(logged, [])
            self.wall -= 3600
            self.live(1)
        self.assertEqual([formatEvent(event) for event in logged], ["the clock was set back by 3600 s"])
        self.assertEqual(self.reactor.seconds(), self.wall)
