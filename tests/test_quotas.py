"""Token buckets: what may be drawn, when the next may be, and that nothing is drawn of one when another is empty."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.quotas import Draw, Exhausted, Limit, refund, spend

NOW = 1_800_000_000.0
WEEK = 7 * 86400.0

amounts = st.integers(1, 1000)
periods = st.sampled_from([60.0, 3600.0, 10800.0, WEEK])


def draw_all(states: dict[str, float], limit: Limit, now: float) -> int:
    """Draw one token after another until there is none left; how many there were."""
    count = 0
    while True:
        try:
            states |= spend(states, [Draw(limit)], now)
        except Exhausted:
            return count
        count += 1


class SpendTests(SynchronousTestCase):
    @given(amounts, periods)
    def test_as_many_at_once_as_the_amount(self, amount: int, period: float) -> None:
        """A full bucket gives exactly its amount, and after a period it is full again; no sooner."""
        limit = Limit("one", amount, period)
        states: dict[str, float] = {}
        self.assertEqual(draw_all(states, limit, NOW), amount)
        self.assertEqual(draw_all(states, limit, NOW + period / amount), 1)
        self.assertEqual(draw_all(states, limit, NOW + period / amount + period), amount)

    @given(amounts, periods, st.lists(st.floats(0, 0.2), max_size=60))
    def test_never_more_than_the_rate(self, amount: int, period: float, steps: list[float]) -> None:
        """However the requests come, no more than the amount and what was refilled since is given in any stretch."""
        limit = Limit("one", amount, period)
        states: dict[str, float] = {}
        now, given = NOW, 0
        for step in steps:
            now += step * period
            given += draw_all(states, limit, now)
            self.assertLessEqual(given, amount * (1 + (now - NOW) / period) + 0.5)

    @given(amounts, periods, st.floats(0, 1))
    def test_retry_after_is_right(self, amount: int, period: float, part: float) -> None:
        """Who comes back after `retry_after_seconds` gets it, and who comes noticeably earlier does not."""
        limit = Limit("one", amount, period)
        states: dict[str, float] = {}
        draw_all(states, limit, NOW)
        now = NOW + part * 0.95 * period / amount
        with self.assertRaises(Exhausted) as caught:
            spend(states, [Draw(limit)], now)
        wait = caught.exception.retry_after_seconds
        spend(states, [Draw(limit)], now + wait)
        self.assertRaises(Exhausted, spend, states, [Draw(limit)], now + wait - 0.02 * period / amount)

    def test_all_or_none(self) -> None:
        """When one of several buckets is empty nothing is said about the others; the longest wait is the one told."""
        minute, week = Limit("minute", 1, 60), Limit("week", 1, WEEK)
        states = spend({}, [Draw(minute), Draw(week)], NOW)
        with self.assertRaises(Exhausted) as caught:
            spend(states, [Draw(week), Draw(minute), Draw(Limit("other", 5, 60))], NOW + 30)
        self.assertEqual(caught.exception.limit, week)
        self.assertAlmostEqual(caught.exception.retry_after_seconds, WEEK - 30, 3)
        self.assertEqual(str(caught.exception), "the quota week is used up: try again in 7 d")

    def test_draws_of_one_bucket_add_up(self) -> None:
        """Two draws of one bucket are one of both costs."""
        limit = Limit("one", 3, 60)
        states = spend({}, [Draw(limit), Draw(limit, 2)], NOW)
        self.assertAlmostEqual(states["one"], NOW + 60, 6)
        self.assertRaises(Exhausted, spend, {}, [Draw(limit, 2), Draw(limit, 2)], NOW)

    def test_a_bucket_too_small_for_the_cost(self) -> None:
        """What can never be drawn is refused, for a period at a time, even if the bucket is empty by its settings."""
        for amount in (0, 0.5):
            with self.assertRaises(Exhausted) as caught:
                spend({}, [Draw(Limit("one", amount, 60))], NOW)
            self.assertEqual(caught.exception.retry_after_seconds, 60)

    @given(amounts, periods, st.floats(0.001, 0.99) | st.floats(1.01, 1000))
    def test_a_clock_set_back(self, amount: int, period: float, periods_back: float) -> None:
        """A little back, the bucket stays empty; however far, nobody waits for much longer than a period."""
        limit = Limit("one", amount, period)
        states: dict[str, float] = {}
        draw_all(states, limit, NOW)
        now = NOW - periods_back * period
        self.assertEqual(draw_all(states, limit, now), 0 if periods_back < 1 else amount)
        with self.assertRaises(Exhausted) as caught:
            spend(states, [Draw(limit)], now)
        self.assertLessEqual(caught.exception.retry_after_seconds, period + 1.01 * period / amount)

    def test_other_figures_keep_what_was_drawn(self) -> None:
        """An operator who changes an amount does not empty or fill the bucket."""
        states: dict[str, float] = {}
        draw_all(states, Limit("one", 50, WEEK), NOW)
        self.assertEqual(draw_all(states, Limit("one", 500, WEEK), NOW + WEEK / 2), 250)


class RightsTests(SynchronousTestCase):
    """A scarce bucket of ten: five are kept for those who have a right, of which there is one a period."""

    BUCKET = Limit("scarce", 10, 100)

    def draw(self, name: str, *more: str) -> Draw:
        return Draw(self.BUCKET, spare=5, rights=tuple(Limit(key, 1, 1000) for key in (name, *more)))

    def count(self, states: dict[str, float], draw: Draw, now: float) -> int:
        for count in range(100):
            try:
                states |= spend(states, [draw], now)
            except Exhausted:
                return count
        return 100

    def test_nobody_else_wants_it(self) -> None:
        """Who has had its right gets what is not kept for others, then as much as comes back."""
        states: dict[str, float] = {}
        self.assertEqual(self.count(states, self.draw("greedy"), NOW), 5)
        self.assertEqual(self.count(states, self.draw("greedy"), NOW + 50), 5)

    def test_the_others_come_first(self) -> None:
        """However often one asks, five others get theirs, and then what comes back goes to the next of them."""
        states: dict[str, float] = {}
        self.count(states, self.draw("greedy"), NOW)
        others = [self.count(states, self.draw(f"modest {n}"), NOW) for n in range(6)]
        self.assertEqual(others, [1, 1, 1, 1, 1, 0])
        self.assertEqual(self.count(states, self.draw("greedy"), NOW + 11), 0)
        self.assertEqual(self.count(states, self.draw("modest 6"), NOW + 11), 1)

    def test_what_the_greedy_one_is_told(self) -> None:
        """The time when there is more than is kept for others, or when it has a right again, whichever is first."""
        states: dict[str, float] = {}
        self.count(states, self.draw("greedy"), NOW)
        with self.assertRaises(Exhausted) as caught:
            spend(states, [self.draw("greedy")], NOW)
        self.assertTrue(caught.exception.reserved)
        self.assertAlmostEqual(caught.exception.retry_after_seconds, 10, 3)
        self.assertEqual(self.count(dict(states), self.draw("greedy"), NOW + 10), 1)
        soon = Draw(self.BUCKET, spare=5, rights=(Limit("greedy", 1, 1000 / 999),))
        with self.assertRaises(Exhausted) as caught:
            spend(states | {"greedy": NOW + 1000 / 999}, [soon], NOW)
        self.assertAlmostEqual(caught.exception.retry_after_seconds, 1, 1)

    def test_an_empty_bucket_is_empty_for_all(self) -> None:
        """A right is to a token that is there."""
        states = {"scarce": NOW + 100}
        with self.assertRaises(Exhausted) as caught:
            spend(states, [self.draw("modest")], NOW)
        self.assertFalse(caught.exception.reserved)
        self.assertAlmostEqual(caught.exception.retry_after_seconds, 10, 3)

    def test_one_of_two_rights_is_none(self) -> None:
        """A right that was used up is not made good by another; and that one is not drawn."""
        states: dict[str, float] = {}
        self.count(states, self.draw("greedy"), NOW)
        self.assertEqual(self.count(states, self.draw("greedy", "fresh"), NOW), 0)
        self.assertNotIn("fresh", states)

    def test_all_keys_are_named(self) -> None:
        """Whoever keeps the states must know which ones to read."""
        draw = self.draw("one", "two")
        self.assertEqual(set(spend({}, [draw], NOW)), draw.keys)

    def test_a_refund(self) -> None:
        """The right comes back with the token."""
        states = spend({}, [self.draw("one")], NOW)
        self.assertEqual(refund(states, [self.draw("one")], NOW), {"scarce": NOW, "one": NOW})


class RefundTests(SynchronousTestCase):
    @given(amounts, periods, st.integers(1, 20), st.floats(0, 2))
    def test_what_was_drawn_can_be_drawn_again(self, amount: int, period: float, count: int, later: float) -> None:
        """After a refund the bucket gives what it would have given, had nothing been drawn."""
        limit = Limit("one", amount, period)
        count = min(count, amount)
        draws = [Draw(limit)] * count
        now = NOW + later * period
        states = spend({}, draws, NOW)
        states |= refund(states, draws, now)
        self.assertGreaterEqual(states["one"], now)
        self.assertEqual(draw_all(states, limit, now), amount)

    def test_nothing_beyond_full(self) -> None:
        """A refund of a bucket that is full already adds nothing, and needs no row."""
        self.assertEqual(refund({}, [Draw(Limit("one", 3, 60), 2)], NOW), {})
        self.assertEqual(refund({"one": NOW - 5}, [Draw(Limit("one", 3, 60), 2)], NOW), {"one": NOW})
        self.assertEqual(refund({"one": NOW + 5}, [Draw(Limit("one", 0, 60))], NOW), {})

    def test_a_debt(self) -> None:
        """What is owed is taken even from an empty bucket, which is no emptier for it."""
        limit = Limit("one", 5, 3600)
        states: dict[str, float] = {}
        for expected in (4, 3, 2, 1, 0, 0, 0):
            states |= refund(states, [Draw(limit, -1)], NOW)
            self.assertEqual(draw_all(dict(states), limit, NOW), expected)
        self.assertEqual(draw_all(dict(states), limit, NOW + 3600), 5)

    def test_only_looking(self) -> None:
        """A draw of nothing that must leave a token asks whether there is one, and needs no row."""
        limit = Limit("one", 1, 60)
        look = Draw(limit, 0, spare=1)
        self.assertEqual(spend({}, [look], NOW), {})
        with self.assertRaises(Exhausted) as caught:
            spend(spend({}, [Draw(limit)], NOW), [look], NOW + 20)
        self.assertAlmostEqual(caught.exception.retry_after_seconds, 40, 3)
        self.assertFalse(caught.exception.reserved)
