"""Timers while the system's clock is set."""

from twisted.internet import base
from twisted.python import threadable
from twisted.trial.unittest import SynchronousTestCase

from nodetrust import clock
from nodetrust.clock import LONGEST_WAIT_SECONDS, make_steady

BEGIN = 1_000_000.0


class Reactor(base.ReactorBase):
    """Twisted's own timers, and no I/O."""

    def installWaker(self):
        """There is nobody to wake."""


class SteadyTimersTests(SynchronousTestCase):
    def setUp(self):
        self.wall, self.monotonic = BEGIN, 50.0
        self.patch(clock, "isInIOThread", lambda: True)
        self.addCleanup(setattr, threadable, "ioThread", threadable.ioThread)
        self.reactor = Reactor()
        make_steady(self.reactor, lambda: self.wall, lambda: self.monotonic)
        self.fired = []

    def wait(self, *seconds):
        return [self.reactor.callLater(one, self.fired.append, one) for one in seconds]

    def pass_time(self, seconds, jump=0.0):
        """So much time passes, and at its end the clock is set."""
        self.monotonic += seconds
        self.wall += seconds + jump
        self.reactor.runUntilCurrent()

    def test_the_time_of_day_is_the_systems(self):
        """Also after it was set."""
        self.pass_time(1.0, jump=-500.0)
        self.assertEqual(self.reactor.seconds(), BEGIN - 499.0)

    def test_jumps(self):
        """What waits fires when it would have, however often and whereto the clock is set."""
        for jump in (3600.0, -3600.0, 86400.0 * 365, -86400.0):
            self.fired.clear()
            self.wait(5.0, 2.0, 9.0)
            self.pass_time(1.0, jump)
            self.assertEqual(self.fired, [])
            self.assertAlmostEqual(self.reactor.timeout(), 1.0)
            self.wait(3.0)
            self.pass_time(1.0)
            self.assertEqual(self.fired, [2.0])
            self.pass_time(3.5, -jump)
            self.assertEqual(self.fired, [2.0, 3.0, 5.0])
            self.pass_time(4.0)
            self.assertEqual(self.fired, [2.0, 3.0, 5.0, 9.0])

    def test_cancelled_timers_hide_none(self):
        """A cancelled timer that is still in Twisted's heap is moved, too."""
        for timer in self.wait(1.0, 2.0, 3.0) + self.wait(*range(10, 40)):
            self.reactor.runUntilCurrent()
            if timer.getTime() < BEGIN + 15.0:
                timer.cancel()
        self.pass_time(0.5, jump=-7200.0)
        self.pass_time(15.0)
        self.assertEqual(self.fired, [15])

    def test_long_waits_are_for_a_time_of_day(self):
        """They fire when the clock shows it."""
        self.wait(10 * LONGEST_WAIT_SECONDS)
        self.pass_time(1.0, jump=10 * LONGEST_WAIT_SECONDS)
        self.assertEqual(self.fired, [10 * LONGEST_WAIT_SECONDS])

    def test_drift(self):
        """Small differences between the clocks are no jumps, and do not add up to one that is missed."""
        self.wait(100.0)
        for _ in range(3):
            self.pass_time(1.0, jump=0.4)
        self.assertAlmostEqual(self.reactor.timeout(), 97.0, places=5)
