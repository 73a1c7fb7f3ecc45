"""When a certificate is to be renewed by the issue server's word, and how long it takes to renew many."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme.wire import RenewalWindow
from nodetrust.issue.renewal import Turns, estimate, is_due, planned
from nodetrust.issue.renewal.plan import PEERS_ASK_SECONDS
from nodetrust.issue.renewal.turns import LONGEST_SECONDS
from nodetrust.quotas import Draw, Exhausted, Limit, spend
from nodetrust.renewal import LAST_SHARE, SPREAD, renewal_time
from tests.store.examples import NOW, certificate

START = datetime(2026, 1, 1, tzinfo=UTC)
LIFE = timedelta(days=90)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Life:
    """A certificate as far as it matters here."""

    not_before: datetime = START
    not_after: datetime = START + LIFE


def window(first_day: float, last_day: float) -> RenewalWindow:
    """Days after the certificate's start."""
    return RenewalWindow(START + first_day * DAY, START + last_day * DAY)


class RenewalTimeTests(SynchronousTestCase):
    """Certificates of 90 days."""

    def test_without_a_window(self) -> None:
        """When a third of the life is left, or up to a tenth of that later."""
        self.assertEqual(renewal_time(Life(), None, START, 0.0), START + 60 * DAY)
        self.assertEqual(renewal_time(Life(), None, START, 1.0), START + 60 * DAY + 30 * DAY * SPREAD)
        self.assertEqual(renewal_time(Life(), None, START, 1.0, START + 5 * DAY), START + 5 * DAY)

    def test_a_moment_of_the_window(self) -> None:
        """Anywhere in it, evenly."""
        for chance, day in ((0.0, 50), (0.5, 51), (1.0, 52)):
            self.assertEqual(renewal_time(Life(), window(50, 52), START, chance), START + day * DAY)

    def test_a_window_that_has_begun(self) -> None:
        """What is left of it counts: nobody is due at once for having heard of it late."""
        self.assertEqual(renewal_time(Life(), window(50, 54), START + 52 * DAY, 0.5), START + 53 * DAY)

    def test_a_window_in_the_past(self) -> None:
        """It means now."""
        now = START + 20 * DAY
        for chance in (0.0, 0.99):
            self.assertLessEqual(renewal_time(Life(), window(5, 6), now, chance, START + 61 * DAY), now)

    def test_chosen_once(self) -> None:
        """Asked again, the CA does not make us choose again, until the window is another one."""
        chosen = START + 51 * DAY
        self.assertEqual(renewal_time(Life(), window(50, 52), START, 0.0, chosen), chosen)
        self.assertEqual(renewal_time(Life(), window(50, 51), START, 0.0, chosen), chosen)
        self.assertEqual(renewal_time(Life(), window(40, 41), START, 0.0, chosen), START + 40 * DAY)

    @given(st.datetimes(), st.datetimes(), st.floats(0, 1), st.datetimes())
    def test_a_window_of_nonsense(self, one: datetime, other: datetime, chance: float, now: datetime) -> None:
        """Whatever the CA says, and whatever our clock: not after the last tenth of the life has begun."""
        first, last = sorted(time.replace(tzinfo=UTC) for time in (one, other))
        moment = renewal_time(Life(), RenewalWindow(first, last), now.replace(tzinfo=UTC), chance)
        self.assertTrue(START <= moment <= START + LIFE * (1 - LAST_SHARE))

    def test_what_a_peer_is_told(self) -> None:
        """What was chosen; else the same each time, and not the same for all."""
        chosen = certificate(renew_at=NOW + DAY)
        self.assertEqual(planned(chosen), NOW + DAY)
        others = [certificate(public_key_sha256=bytes([number] * 32)) for number in (0, 1, 128, 255)]
        days = [(planned(one) - NOW) / DAY for one in others]
        self.assertEqual([round(day, 1) for day in days], [60.0, 60.0, 61.5, 63.0])

    def test_due(self) -> None:
        """By the moment that was chosen, or in the last third, or before or after its life."""
        for day, renew_day, due in ((10, None, False), (10, 9, True), (10, 11, False), (61, 65, True), (-1, 60, True)):
            renew_at = None if renew_day is None else START + renew_day * DAY
            self.assertEqual(is_due(Life(), renew_at, START + day * DAY), due, (day, renew_day))
        self.assertTrue(is_due(Life(), None, START + 90 * DAY))


def drain(due: int, limits: Sequence[Limit], states: dict[str, float], now: float) -> float:
    """How long it really takes to spend `due` tokens of all limits."""
    clock = now
    for _ in range(due):
        while True:
            try:
                states.update(spend(states, [Draw(limit) for limit in limits], clock))
                break
            except Exhausted as exhausted:
                clock += exhausted.retry_after_seconds
    return clock - now


class EstimateTests(SynchronousTestCase):
    ORDERS = Limit("ca/orders", 300, 3 * 3600)

    def test_the_peers_pace(self) -> None:
        """Without limits, or below them, it takes as long as the peers take to hear of it."""
        for due, limits in ((10_000, []), (300, [self.ORDERS])):
            self.assertEqual(estimate(due, limits, 0.0).seconds, PEERS_ASK_SECONDS)

    def test_the_limits_pace(self) -> None:
        """Ten thousand at 300 in three hours: 97 hours; the narrowest limit counts, and what is left of it."""
        found = estimate(10_000, [self.ORDERS, Limit("ca/wide", 10_000, 3600)], 1e9)
        self.assertEqual((round(found.seconds / 3600), found.limit), (97, self.ORDERS))
        used_up = {self.ORDERS.key: 1e9 + self.ORDERS.period_seconds}
        self.assertEqual(round(estimate(10_000, [self.ORDERS], 1e9, used_up).seconds / 3600), 100)

    @given(st.integers(1, 300), st.integers(1, 50), st.floats(3600, 7 * 86400), st.floats(0, 1))
    def test_is_what_the_buckets_do(self, due: int, amount: int, period: float, used: float) -> None:
        """To the second, as far as the buckets' own rounding goes."""
        limit = Limit("ca/x", amount, period)
        states = {"ca/x": 1e9 + used * period}
        found = estimate(due, [limit], 1e9, states).seconds
        real = max(PEERS_ASK_SECONDS, drain(due, [limit], states, 1e9))
        self.assertLess(abs(found - real), 0.02 * period)


class TurnsTests(SynchronousTestCase):
    """A limit of ten a minute."""

    LIMIT = Limit("ca/x", 10, 60.0)

    def setUp(self) -> None:
        self.turns = Turns()

    def turn(self, now: float, retry_after: float = 5.0, chance: float = 0.5) -> float:
        return self.turns.seconds_to_turn(self.LIMIT, retry_after, now, chance)

    def test_one_after_the_other(self) -> None:
        """Each is told a token's time later."""
        self.assertEqual([self.turn(1000.0) for _ in range(3)], [5.0, 11.0, 17.0])
        self.assertEqual(self.turn(1001.0), 22.0)

    def test_a_queue_that_is_over(self) -> None:
        """Its turns are forgotten; another limit has its own."""
        self.turn(1000.0)
        self.assertEqual(self.turn(2000.0), 5.0)
        self.assertEqual(self.turns.seconds_to_turn(Limit("ca/y", 1, 60.0), 7.0, 2000.0, 0.5), 7.0)

    def test_a_long_queue(self) -> None:
        """Past a day, anybody's turn is a moment of the day by chance."""
        for _ in range(int(LONGEST_SECONDS / 6) + 2):
            self.turn(1000.0)
        self.assertEqual([self.turn(1000.0, chance=chance) for chance in (0.0, 0.25)], [5.0, 5.0 + LONGEST_SECONDS / 4])

    def test_a_clock_that_was_set_back(self) -> None:
        """Nobody waits for the time that it was."""
        self.turn(1e9)
        self.assertEqual(self.turn(1e9 - 90 * 86400), 5.0)

    def test_a_limit_of_nothing(self) -> None:
        """It is no division by zero."""
        self.assertEqual(self.turns.seconds_to_turn(Limit("ca/x", 0, 60.0), 60.0, 0.0, 0.0), 60.0)
