"""Some of several are enough."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.challenges.enough import enough


class EnoughTests(SynchronousTestCase):
    def setUp(self):
        self.cancelled = []
        self.attempts = [Deferred(self.cancelled.append) for _ in range(3)]

    def test_so_many_succeed(self):
        """It is done with the last of them, and the rest is cancelled."""
        done = enough(self.attempts, 2)
        self.attempts[2].callback(None)
        self.assertNoResult(done)
        self.attempts[0].callback(None)
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.cancelled, [self.attempts[1]])

    def test_too_many_fail(self):
        """It fails as soon as that is certain, as the first did."""
        done = enough(self.attempts, 2)
        self.attempts[1].errback(ValueError("first"))
        self.assertNoResult(done)
        self.attempts[0].errback(ValueError("second"))
        self.assertEqual(str(self.failureResultOf(done, ValueError).value), "first")
        self.assertEqual(self.cancelled, [self.attempts[2]])

    def test_over_at_once(self):
        """Those that are over before anybody looks count like the others."""
        for attempt in self.attempts:
            attempt.callback(None)
        self.assertIsNone(self.successResultOf(enough(self.attempts, 3)))

    def test_cancelled(self):
        """So is every attempt."""
        done = enough(self.attempts, 1)
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.assertEqual(self.cancelled, self.attempts)
