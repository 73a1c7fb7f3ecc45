"""Tests for nodetrust.libp2p.token_bucket."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.token_bucket import TokenBucket


class TokenBucketTests(SynchronousTestCase):
    """How often something may happen."""

    def test_burst_and_refill(self) -> None:
        """So often at once; then as often as it refills, and never more than the burst however long one waits."""
        bucket = TokenBucket(3, 0.5)
        self.assertEqual([True, True, True, False], [bucket.take(100.0) for _ in range(4)])
        self.assertEqual([False, True, False], [bucket.take(now) for now in (101.0, 102.0, 103.0)])
        self.assertEqual([True, True, True, False], [bucket.take(1e6) for _ in range(4)])

    def test_a_clock_that_is_set_back(self) -> None:
        """It takes no tokens, and from then on they are refilled as before."""
        bucket = TokenBucket(3, 0.5)
        self.assertEqual([True, True], [bucket.take(7200.0) for _ in range(2)])
        self.assertEqual([True, False, True], [bucket.take(now) for now in (3600.0, 3601.0, 3602.0)])
