"""A machine that notices where it is."""

from ipaddress import ip_address
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.whereabouts import LOOK_SECONDS, Whereabouts, own_addresses

HOME, AWAY, SIX = ip_address("10.0.0.2"), ip_address("10.1.0.2"), ip_address("2001:db8::2")


class WhereaboutsTests(SynchronousTestCase):
    """With a machine whose addresses are `self.here`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.here: frozenset[Any] = frozenset({HOME})
        self.stirred = 0
        self.whereabouts = Whereabouts(self.clock, self.count, lambda: self.here)
        self.whereabouts.start()

    def count(self) -> None:
        self.stirred += 1

    def look(self, *addresses: Any) -> int:
        self.here = frozenset(addresses)
        self.clock.advance(LOOK_SECONDS)
        return self.stirred

    def test_what_is_a_change(self) -> None:
        """Another address, and one more; not the first look, nor the same again."""
        self.assertEqual([self.look(HOME), self.look(AWAY), self.look(AWAY), self.look(AWAY, SIX)], [0, 1, 1, 2])

    def test_offline(self) -> None:
        """No address at all is no place: only where the machine comes back to counts."""
        self.assertEqual([self.look(), self.look(HOME), self.look(), self.look(AWAY)], [0, 0, 0, 1])

    def test_stop(self) -> None:
        """Nothing waits."""
        self.whereabouts.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_kernel(self) -> None:
        """It answers, and no address is of a kind that nobody sends from."""
        self.assertFalse(any(one.is_unspecified or one.is_multicast for one in own_addresses()))
