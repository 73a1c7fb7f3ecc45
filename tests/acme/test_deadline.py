"""Work that is shared."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme.deadline import Deadline, Shared
from nodetrust.acme.errors import AcmeTimedOut, AcmeUnreachable

MANY = 2000
"""Deeper than Python's stack."""


class SharedTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.shared = Shared()
        self.begun = []

    async def work(self, deadline):
        """Ends when the test says so."""
        running = Deferred()
        self.begun.append(running)
        return await running

    def want(self, seconds=60.0):
        return Deferred.fromCoroutine(self.shared.result(self.work, Deadline(self.clock, seconds), "waiting"))

    def test_one_for_all(self):
        """However many want it at the same time, it is done once; whoever comes later has it done again."""
        wanted = [self.want() for _ in range(MANY)]
        self.assertEqual(len(self.begun), 1)
        self.begun[0].callback("done")
        self.assertEqual([self.successResultOf(one) for one in wanted], ["done"] * MANY)
        self.want()
        self.assertEqual(len(self.begun), 2)

    def test_an_error_is_everybodys(self):
        """So that a thousand do not find out one after the other."""
        wanted = [self.want() for _ in range(MANY)]
        self.begun[0].errback(AcmeUnreachable("nobody there"))
        for one in wanted:
            self.failureResultOf(one, AcmeUnreachable)
        self.assertEqual(len(self.begun), 1)

    def test_whoever_gives_up_leaves_it_to_the_others(self):
        """The next one begins anew, and the others go on waiting."""
        first, second, third = self.want(), self.want(), self.want()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(len(self.begun), 2)
        self.begun[1].callback("done")
        self.assertEqual([self.successResultOf(one) for one in (second, third)], ["done", "done"])

    def test_nobody_waits_beyond_his_own_deadline(self):
        """And the work goes on for those who have more time."""
        first, hasty = self.want(60.0), self.want(1.0)
        self.clock.advance(1.0)
        self.failureResultOf(hasty, AcmeTimedOut)
        self.begun[0].callback("done")
        self.assertEqual(self.successResultOf(first), "done")
