"""When a client asks for the next certificate."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.errors import IssuerUnreachable, NoProofs, Refused
from nodetrust.client.plan import Plan
from nodetrust.client.renewal import (
    FIRST_REDIAL_SECONDS,
    FIRST_RETRY_SECONDS,
    LAST_REDIAL_SECONDS,
    LAST_RETRY_SECONDS,
    LONGEST_RETRY_SECONDS,
    REPROOF_SECONDS,
    SPREAD,
    level_of_failure,
    own_plan,
    seconds_to_reproof,
    seconds_to_retry,
)
from nodetrust.messages import E_OTHER, E_RATE_LIMIT

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = 86400.0


def to_ms(time):
    """As on the wire."""
    return int(time.timestamp() * 1000)


class PlanTests(SynchronousTestCase):
    """A certificate of 90 days."""

    END = START + timedelta(days=90)

    def plan(self, now=START, steady=0.0):
        plan = Plan(START, self.END, now, steady)
        plan.make(None, 0.0)
        return plan

    def test_renews_when_a_third_is_left(self):
        """Of 90 days, 60 are used."""
        self.assertEqual(self.plan().seconds_left(START, 0.0), 60 * DAY)

    def test_an_old_certificate_is_renewed_at_once(self):
        """One that has ended, or is about to, is not waited for."""
        for days in (80, 90, 400):
            now = START + timedelta(days=days)
            self.assertLessEqual(self.plan(now=now).seconds_left(now, 0.0), 0)

    @given(st.integers(10, 400 * 86400), st.floats(0, 1))
    def test_never_before_a_third_and_well_before_the_end(self, life_seconds, chance):
        """The spread goes towards the end, and leaves most of the last third for retries."""
        wait = (own_plan(START, START + timedelta(seconds=life_seconds), chance) - START).total_seconds()
        self.assertGreaterEqual(wait, life_seconds * 2 / 3 - 1e-3)
        self.assertLessEqual(wait, life_seconds * (2 / 3 + SPREAD / 3) + 1e-3)

    @given(st.integers(-(2**63), 2**63 - 1), st.datetimes(timezones=st.just(UTC)), st.floats(0, 1e9))
    def test_whatever_the_issue_server_says(self, renew_at_ms, now, steady):
        """The plan is in the life of the certificate, and a tenth is left; nobody waits for longer than that."""
        plan = self.plan()
        plan.move(renew_at_ms, now)
        self.assertTrue(START <= plan.at <= self.END - timedelta(days=9))
        self.assertLessEqual(plan.seconds_left(now, steady), 81 * DAY)

    def test_moves(self):
        """Earlier, to now, and later again; by a few seconds is not worth a word, nor from one past time to another."""
        plan = self.plan()
        now = START + timedelta(days=30)
        for day, moved in ((40, True), (20, True), (10, False), (62, True)):
            self.assertEqual(plan.move(to_ms(START + timedelta(days=day)), now), moved)
        self.assertFalse(plan.move(to_ms(START + timedelta(days=62, seconds=5)), now))
        self.assertEqual(plan.seconds_left(now, 30 * DAY), 32 * DAY)

    def test_a_clock_that_is_set(self):
        """Forward, it is due; back, it is due when as much time has passed as was planned."""
        plan = self.plan(steady=1000.0)
        self.assertLessEqual(plan.seconds_left(START + timedelta(days=90), 1000.0), 0)
        for back in (timedelta(days=90), timedelta(days=3650)):
            self.assertEqual(plan.seconds_left(START - back, 1000.0 + 20 * DAY), 40 * DAY)

    def test_a_clock_that_is_wrong_from_the_start(self):
        """Years behind, the certificate is renewed before it ends."""
        self.assertLessEqual(self.plan(now=START - timedelta(days=3650)).seconds_left(START, 0.0), 81 * DAY)

    def test_a_new_certificate_needs_no_clock(self):
        """It is as old as the time since it came, also when the issue server has other plans for it."""
        for ahead in (timedelta(days=-90), timedelta(days=-3650)):
            plan = self.plan(steady=1000.0)
            self.assertEqual(plan.seconds_left(START + ahead, 1000.0), 60 * DAY)
            plan.move(to_ms(START + timedelta(days=40)), START + ahead)
            self.assertEqual(plan.seconds_left(START + ahead, 1000.0 + 20 * DAY), 20 * DAY)

    def test_no_storm(self):
        """Certificates that each seem due as soon as they come are renewed once an hour, in two, in four ..."""
        plan, waits, steady, now = None, [], 0.0, self.END
        for _ in range(12):
            fresh = self.plan(now=now, steady=steady)
            fresh.rest_after(plan)
            plan = fresh
            waits.append(plan.seconds_left(now, steady))
            steady += waits[-1]
        self.assertEqual(waits[:3], [3600.0, 7200.0, 14400.0])
        self.assertEqual(waits[-1], 30 * DAY)

    def test_haste_is_forgotten(self):
        """After a certificate that has served for half of its life."""
        first = self.plan(now=self.END)
        first.rest_after(None)
        second = self.plan(now=self.END, steady=46 * DAY)
        second.rest_after(first)
        self.assertEqual(second.seconds_left(self.END, 46 * DAY), 3600.0)


class RetryTests(SynchronousTestCase):
    def test_waits_double_up_to_a_limit(self):
        """A minute, two, four, ... an hour."""
        refused = Refused("", E_OTHER, None)
        self.assertEqual(seconds_to_retry(1, 0.0, refused), FIRST_RETRY_SECONDS)
        self.assertEqual(seconds_to_retry(2, 0.0, refused), 2 * FIRST_RETRY_SECONDS)
        self.assertEqual(seconds_to_retry(1000, 0.0, refused), LAST_RETRY_SECONDS)

    def test_a_server_out_of_reach_is_dialled_again_sooner(self):
        """Roles that start together find each other in seconds: no CA is asked for that."""
        for error in (IssuerUnreachable(""), NoProofs("")):
            self.assertEqual(seconds_to_retry(1, 0.0, error), FIRST_REDIAL_SECONDS)
            self.assertEqual(seconds_to_retry(3, 0.0, error), 4 * FIRST_REDIAL_SECONDS)
            self.assertEqual(seconds_to_retry(1000, 0.0, error), LAST_REDIAL_SECONDS)

    def test_honours_the_issue_server(self):
        """Who says when to come back is not asked earlier."""
        self.assertGreaterEqual(seconds_to_retry(1, 0.0, Refused("", E_RATE_LIMIT, 86400)), 86400)
        self.assertEqual(seconds_to_retry(1, 0.0, Refused("", E_RATE_LIMIT, 1)), FIRST_RETRY_SECONDS)

    def test_a_wait_of_nonsense(self):
        """Nobody is sent away for ever, or for less than no time."""
        self.assertEqual(seconds_to_retry(1, 0.0, Refused("", E_RATE_LIMIT, 2**63 - 1)), LONGEST_RETRY_SECONDS)
        self.assertEqual(seconds_to_retry(1, 0.0, Refused("", E_RATE_LIMIT, -(2**63))), FIRST_RETRY_SECONDS)

    def test_louder_towards_the_end(self):
        """Of a certificate: while more than a third is left, then, and in the last tenth."""
        end = START + timedelta(days=90)
        for day, level in ((10, "info"), (59, "info"), (61, "warn"), (80, "warn"), (82, "error"), (99, "error")):
            self.assertEqual(level_of_failure(START, end, START + timedelta(days=day)), level)


class ReproofTests(SynchronousTestCase):
    """A proven address of 192.0.2.1, and an issue server that sees the peer somewhere."""

    PROVEN = (ip_address("192.0.2.1"), ip_address("2001:db8::1"))

    def test_not_while_we_are_where_we_were(self):
        """Seen at a proven address, or nowhere yet: there is nothing to prove."""
        for seen_at in (None, *self.PROVEN):
            self.assertIsNone(seconds_to_reproof(seen_at, self.PROVEN, None))

    def test_at_once_after_a_move(self):
        """The first time without a wait, and later too if that was long ago."""
        for since_last in (None, REPROOF_SECONDS, 10 * REPROOF_SECONDS):
            self.assertEqual(seconds_to_reproof(ip_address("192.0.2.2"), self.PROVEN, since_last), 0.0)

    def test_not_over_and_over(self):
        """An address that nobody proves is asked about every REPROOF_SECONDS at most."""
        self.assertEqual(seconds_to_reproof(ip_address("192.0.2.2"), self.PROVEN, 1.0), REPROOF_SECONDS - 1)
