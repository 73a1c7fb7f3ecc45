"""When the issue server's own certificate is renewed."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.own.plan import (
    FIRST_RETRY_SECONDS,
    LAST_RETRY_SECONDS,
    MIN_WAIT_SECONDS,
    SPREAD,
    seconds_to_renewal,
    seconds_to_retry,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LIFE = timedelta(days=90)
CHAIN = SimpleNamespace(not_before=NOW, not_after=NOW + LIFE)


class RenewalTests(SynchronousTestCase):
    def test_two_thirds_of_its_life(self):
        """Not sooner, and by chance a little later."""
        self.assertEqual(seconds_to_renewal(CHAIN, None, NOW, 0.0), timedelta(days=60).total_seconds())
        late = seconds_to_renewal(CHAIN, None, NOW, 1.0)
        self.assertTrue(timedelta(days=60).total_seconds() < late < timedelta(days=70).total_seconds())

    def test_as_the_ca_says(self):
        """Sooner or later."""
        for days in (10, 80):
            self.assertEqual(seconds_to_renewal(CHAIN, NOW + timedelta(days=days), NOW, 0.5), days * 86400)
        later = NOW + timedelta(days=20)
        self.assertEqual(seconds_to_renewal(CHAIN, NOW + timedelta(days=19), later, 0.5), -86400)

    def test_not_in_a_circle(self):
        """A CA that wants a new certificate replaced at once gets that after a tenth of its life."""
        self.assertEqual(seconds_to_renewal(CHAIN, NOW - LIFE, NOW, 0.5), 9 * 86400)


class RetryTests(SynchronousTestCase):
    def test_waits_grow(self):
        """From a minute to an hour, a little more by chance."""
        waits = [seconds_to_retry(failures, 30 * 86400, None, 0.0) for failures in range(1, 10)]
        self.assertEqual(waits[:3], [FIRST_RETRY_SECONDS, 2 * FIRST_RETRY_SECONDS, 4 * FIRST_RETRY_SECONDS])
        self.assertEqual(waits[-1], LAST_RETRY_SECONDS)
        self.assertEqual(seconds_to_retry(1000, 0, None, 1.0), LAST_RETRY_SECONDS * (1 + SPREAD))

    def test_short_lives(self):
        """There is time for several tries, however short a life is, and never a rush."""
        self.assertEqual(seconds_to_retry(1, 100, None, 0.0), 10)
        self.assertEqual(seconds_to_retry(9, 100, None, 0.0), 10)
        self.assertEqual(seconds_to_retry(1, 0.1, None, 0.0), MIN_WAIT_SECONDS)

    def test_who_was_told_when_to_come_back(self):
        """Not sooner; but it is looked again within an hour, in case it was said for another reason."""
        self.assertEqual(seconds_to_retry(1, 86400, 500.0, 0.0), 500)
        self.assertEqual(seconds_to_retry(1, 86400, 500_000.0, 0.0), LAST_RETRY_SECONDS)
