"""When to look, renew and try again."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.portmap.plan import (
    Epoch,
    nat_pmp_lost,
    seconds_to_check,
    seconds_to_renew,
    seconds_to_retry,
    trusted_lifetime,
)

CHANCES = st.floats(0, 1, exclude_max=True)


class RenewalTests(SynchronousTestCase):
    @given(st.integers(7, 86400), CHANCES)
    def test_half(self, lifetime: int, chance: float) -> None:
        """From half of the lifetime to five eighths of it, and four seconds after the grant at the soonest."""
        wait = seconds_to_renew(lifetime, chance)
        self.assertGreaterEqual(wait, max(4, lifetime / 2))
        self.assertLessEqual(wait, max(4, lifetime * 5 / 8))

    @given(st.integers(0, 0xFFFFFFFF), CHANCES)
    def test_bounds(self, lifetime: int, chance: float) -> None:
        """Whatever a gateway grants: never more often than each four seconds, at least once a day."""
        self.assertTrue(4 <= seconds_to_renew(lifetime, chance) <= 86400)

    def test_permanent(self) -> None:
        """A mapping that never ends is renewed as one of an hour: nobody else would find out that it is gone."""
        self.assertEqual(seconds_to_renew(None, 0), 1800)
        self.assertEqual(trusted_lifetime(None), 3600)


class LookTests(SynchronousTestCase):
    @given(st.floats(1, 1000), CHANCES)
    def test_jitter(self, seconds: float, chance: float) -> None:
        """At most an eighth sooner than was asked for."""
        self.assertTrue(seconds * 7 / 8 <= seconds_to_check(seconds, chance) <= seconds)


class RetryTests(SynchronousTestCase):
    def test_doubles(self) -> None:
        """5 seconds, 10, 20 and so on, up to a quarter of an hour, for ever."""
        waits = [seconds_to_retry(failures, 0) for failures in (1, 2, 3, 8, 9, 10**9)]
        self.assertEqual(waits, [5, 10, 20, 640, 900, 900])

    @given(st.integers(1, 1000), CHANCES)
    def test_jitter(self, failures: int, chance: float) -> None:
        """Up to a quarter sooner."""
        self.assertTrue(3.75 <= seconds_to_retry(failures, chance) <= 900)


class EpochTests(SynchronousTestCase):
    def test_goes_on(self) -> None:
        """A gateway's clock may run an eighth slower than ours, and two seconds more (RFC 6886 §3.6)."""
        before = Epoch(1000, 50.0)
        self.assertFalse(nat_pmp_lost(before, Epoch(1800, 850.0)))
        self.assertFalse(nat_pmp_lost(before, Epoch(1698, 850.0)))
        self.assertTrue(nat_pmp_lost(before, Epoch(1697, 850.0)))

    def test_begins_anew(self) -> None:
        """After a restart it counts from 0."""
        self.assertTrue(nat_pmp_lost(Epoch(1000, 50.0), Epoch(3, 170.0)))

    def test_ahead(self) -> None:
        """One that is ahead has lost nothing."""
        self.assertFalse(nat_pmp_lost(Epoch(1000, 50.0), Epoch(99999, 170.0)))
