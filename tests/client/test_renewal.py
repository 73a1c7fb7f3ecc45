"""When a client asks for the next certificate."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.errors import IssuerUnreachable, NoProofs, Refused
from nodetrust.client.renewal import (
    FIRST_REDIAL_SECONDS,
    FIRST_RETRY_SECONDS,
    LAST_RETRY_SECONDS,
    MIN_WAIT_SECONDS,
    REPROOF_SECONDS,
    SPREAD,
    seconds_to_renewal,
    seconds_to_reproof,
    seconds_to_retry,
)
from nodetrust.messages import E_OTHER, E_RATE_LIMIT

START = datetime(2026, 1, 1, tzinfo=UTC)


class RenewalTests(SynchronousTestCase):
    def test_renews_when_a_third_is_left(self):
        """Of 90 days, 60 are used."""
        wait = seconds_to_renewal(START, START + timedelta(days=90), START, 0.0)
        self.assertEqual(wait, timedelta(days=60).total_seconds())

    def test_an_old_certificate_is_renewed_at_once(self):
        """One that has ended, or is about to, is not waited for."""
        for days in (80, 90, 400):
            now = START + timedelta(days=days)
            self.assertEqual(seconds_to_renewal(START, START + timedelta(days=90), now, 0.0), MIN_WAIT_SECONDS)

    @given(st.integers(10, 400 * 86400), st.floats(0, 1))
    def test_never_before_a_third_and_well_before_the_end(self, life_seconds, chance):
        """The spread goes towards the end, and leaves most of the last third for retries."""
        end = START + timedelta(seconds=life_seconds)
        wait = seconds_to_renewal(START, end, START, chance)
        self.assertGreaterEqual(wait, life_seconds * 2 / 3 - 1e-3)
        self.assertLessEqual(wait, life_seconds * (2 / 3 + SPREAD / 3) + MIN_WAIT_SECONDS)


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
            self.assertEqual(seconds_to_retry(1000, 0.0, error), LAST_RETRY_SECONDS)

    def test_honours_the_issue_server(self):
        """Who says when to come back is not asked earlier."""
        self.assertGreaterEqual(seconds_to_retry(1, 0.0, Refused("", E_RATE_LIMIT, 86400)), 86400)
        self.assertEqual(seconds_to_retry(1, 0.0, Refused("", E_RATE_LIMIT, 1)), FIRST_RETRY_SECONDS)


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
