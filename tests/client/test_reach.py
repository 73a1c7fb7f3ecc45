"""Which addresses are announced, by what was found from outside."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.reach import (
    FIRST_LOOK_AGAIN_SECONDS,
    LAST_LOOK_AGAIN_SECONDS,
    LOOK_SECONDS,
    SPREAD,
    SURE_SECONDS,
    Reach,
)
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr

FOUR, SIX, NEW = (
    Multiaddr.parse(f"/{name}/tcp/4443/tls/ws") for name in ("dns4/a.example", "dns6/a.example", "dns4/b.example")
)


class ReachTests(SynchronousTestCase):
    """A peer with an IPv4 and an IPv6 address."""

    def setUp(self) -> None:
        self.reach = Reach()
        self.reach.consider([FOUR, SIX])

    def look(self, *reached: Multiaddr) -> list[Multiaddr]:
        return self.reach.looked({one: one in reached for one in self.reach.candidates})

    def test_nothing_before_the_first_look(self) -> None:
        """What nobody has reached is not announced."""
        self.assertEqual(self.reach.announced, ())

    def test_what_was_reached(self) -> None:
        """And nothing else; the rest is told once, not with every look."""
        self.assertEqual(self.look(FOUR), [SIX])
        self.assertEqual(self.reach.announced, (FOUR,))
        self.assertEqual(self.look(FOUR), [])
        self.assertEqual(self.look(FOUR, SIX), [])
        self.assertEqual(self.reach.announced, (FOUR, SIX))

    def test_one_miss_is_none(self) -> None:
        """An address that was reached is given up at the second look without success, which comes soon."""
        self.look(FOUR, SIX)
        self.assertEqual(self.look(FOUR), [])
        self.assertEqual((self.reach.announced, self.reach.seconds_to_look(0)), ((FOUR, SIX), SURE_SECONDS))
        self.assertEqual(self.look(FOUR), [SIX])
        self.assertEqual(self.reach.announced, (FOUR,))

    def test_a_move(self) -> None:
        """The old address stays until the new one has been looked at; what was reached and is still ours, at once."""
        self.look(FOUR, SIX)
        self.assertTrue(self.reach.consider([NEW, SIX]))
        self.assertEqual(self.reach.announced, (FOUR, SIX))
        self.look(NEW, SIX)
        self.assertEqual(self.reach.announced, (NEW, SIX))
        self.assertFalse(self.reach.consider([NEW, SIX]))

    def test_another_peer(self) -> None:
        """What is said of one peer is not said of another that has come in its place, not even until the first look."""
        first, second = (PrivateKey.generate().peer_id for _ in range(2))
        self.reach.consider([FOUR.with_peer_id(first)])
        self.look(FOUR.with_peer_id(first))
        self.reach.consider([FOUR.with_peer_id(second)])
        self.assertEqual(self.reach.announced, ())

    def test_no_address_at_all(self) -> None:
        """Without a good certificate nothing is announced, not even for a moment."""
        self.look(FOUR, SIX)
        self.reach.consider([])
        self.assertEqual(self.reach.announced, ())

    def test_nobody_who_looks(self) -> None:
        """Servers of an earlier version: everything is announced. But what was looked at keeps its verdict."""
        self.reach.cannot_look()
        self.assertEqual(self.reach.announced, (FOUR, SIX))
        self.look(FOUR)
        self.reach.cannot_look()
        self.assertEqual(self.reach.announced, (FOUR,))

    def test_what_nobody_knows(self) -> None:
        """A look that says nothing of an address leaves hope, and takes away no certainty."""
        self.reach.looked({FOUR: True})
        self.assertEqual(self.reach.announced, (FOUR, SIX))
        self.look(FOUR)
        self.reach.looked({FOUR: True})
        self.assertEqual(self.reach.announced, (FOUR,))

    def test_when_to_look_again(self) -> None:
        """Soon at first where something is closed, then more and more seldom; once an hour where all is well."""
        self.look(FOUR)
        waits = []
        for _ in range(10):
            waits.append(self.reach.seconds_to_look(0))
            self.look(FOUR)
        self.assertEqual(waits[:3], [FIRST_LOOK_AGAIN_SECONDS * factor for factor in (1, 2, 4)])
        self.assertEqual(waits[-1], LAST_LOOK_AGAIN_SECONDS)
        self.look(FOUR, SIX)
        self.assertEqual(self.reach.seconds_to_look(1), LOOK_SECONDS * (1 + SPREAD))

    @given(st.lists(st.sampled_from([(), (FOUR,), (SIX,), (FOUR, SIX), None]), max_size=30), st.floats(0, 1))
    def test_whatever_is_found(self, looks: list, chance: float) -> None:
        """Only candidates are announced, and the next look is always ahead, and not for ever."""
        reach = Reach()
        reach.consider([FOUR, SIX])
        for reached in looks:
            if reached is None:
                reach.cannot_look()
            else:
                reach.looked({one: one in reached for one in reach.candidates})
            self.assertLessEqual(set(reach.announced), set(reach.candidates))
            self.assertTrue(FIRST_LOOK_AGAIN_SECONDS <= reach.seconds_to_look(chance) <= 2 * LOOK_SECONDS)
