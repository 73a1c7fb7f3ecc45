"""Issue servers that are away when a client would renew, and what the client says of it."""

from datetime import timedelta

from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.renewal import LAST_REDIAL_SECONDS, SPREAD
from tests.simulation.home import HERE, LONG, MINUTE, SHORT, Home
from tests.simulation.timeline import DAY, HOUR

RETRY_SECONDS = LAST_REDIAL_SECONDS * (1 + SPREAD) + MINUTE
"""From one try to the next, at most."""


class OutageTests(SynchronousTestCase):
    """`days` are those of the first certificate."""

    def days(self, home: Home, at: float) -> float:
        return (at - home.taken[0].at) / DAY

    def run_to(self, home: Home, days: float) -> None:
        home.run_until(home.taken[0].at + days * DAY)

    def first_said(self, home: Home, level: LogLevel) -> float:
        """On which day there was the first line of this level."""
        return self.days(home, next(said.at for said in home.loud if said.level is level))

    def check_said(self, home: Home, level: LogLevel, days: float) -> None:
        """It is said with the first failure from then on."""
        self.assertTrue(days <= self.first_said(home, level) <= days + RETRY_SECONDS / DAY)

    def home(self, life: timedelta, **options: float) -> Home:
        home = Home(self, life, pace=15 * MINUTE, **options)  # type: ignore[arg-type]  # settings, too
        home.start()
        home.run_for(MINUTE)
        return home

    def test_two_days(self) -> None:
        """Across the time of renewal, with nobody else to ask: nothing is lost, and the next comes within minutes."""
        for life, last_level in ((SHORT, LogLevel.error), (LONG, LogLevel.warn)):
            home = self.home(life)
            due = self.days(home, home.planned)
            self.run_to(home, due - 0.5)
            home.set_away(0, True)
            self.run_to(home, due + 1.5)
            self.check_said(home, LogLevel.warn, due)
            self.assertEqual(home.loud[-1].level, last_level)
            if last_level is LogLevel.error:
                self.check_said(home, LogLevel.error, 5.4)
            home.set_away(0, False)
            home.run_for(RETRY_SECONDS)
            self.assertEqual(home.orders, 2)
            self.assertEqual((home.bare_minutes, home.unannounced_minutes, home.announced), (0, 0, {HERE}))
            home.end()

    def test_past_the_end(self) -> None:
        """What is over is announced no more, from that moment on; afterwards all is well within minutes."""
        home = self.home(SHORT)
        self.run_to(home, 3)
        home.set_away(0, True)
        end = home.taken[0].chain.not_after.timestamp()
        home.run_until(end - 1.0)
        self.assertEqual((home.bare_minutes, home.unannounced_minutes, home.announced), (0, 0, {HERE}))
        home.run_until(end + 0.1)
        self.assertEqual(home.announced, set())
        home.run_until(end + 2 * DAY)
        self.assertEqual(home.announced, set())
        self.assertIn("(it is over)", home.loud[-1].text)
        home.set_away(0, False)
        home.run_for(RETRY_SECONDS)
        self.assertEqual((home.orders, home.announced), (2, {HERE}))

    def test_said_when_the_user_wants_it(self) -> None:
        """`panic_days` makes it an error well before the tenth of the life, `reissue_days` a warning later."""
        for settings, warned, failed in (({"panic_days": 1.5}, 4, 4.5), ({"reissue_days": 1.0}, 5, 5.4)):
            home = self.home(SHORT, **settings)
            self.run_to(home, 3)
            home.set_away(0, True)
            self.run_to(home, 5.9)
            self.assertTrue(warned <= self.first_said(home, LogLevel.warn) <= warned + 0.25)
            self.check_said(home, LogLevel.error, failed)
            self.assertEqual(home.bare_minutes, 0)
            home.end()

    def test_another_issue_server(self) -> None:
        """It is asked at once, and goes on to be asked when to renew: the first, which is back, means its old one."""
        home = self.home(SHORT, issuers=2)
        self.run_to(home, 3.5)
        home.set_away(0, True)
        self.run_to(home, 5.5)
        home.set_away(0, False)
        self.run_to(home, 13)
        self.assertEqual(home.orders, 4)
        for before, after in zip(home.taken, home.taken[1:], strict=False):
            days = (after.at - before.at) / DAY
            self.assertTrue(4 <= days <= 4.2 + MINUTE / DAY, days)
        self.assertEqual((home.bare_minutes, home.unannounced_minutes), (0, 0))
        self.assertEqual((home.failures, home.loud), ([], []))

    def test_both_away(self) -> None:
        """The second is back after a day, the first after two: the certificate is of the second."""
        home = self.home(SHORT, issuers=2)
        self.run_to(home, 3.5)
        for server in (0, 1):
            home.set_away(server, True)
        self.run_to(home, 4.5)
        self.assertEqual(home.orders, 1)
        home.set_away(1, False)
        home.run_for(RETRY_SECONDS)
        self.assertEqual(home.orders, 2)
        self.run_to(home, 5.5)
        home.set_away(0, False)
        self.run_to(home, 8)
        self.assertEqual((home.orders, home.bare_minutes, home.unannounced_minutes), (2, 0, 0))

    def test_the_proof_server_is_away(self) -> None:
        """For two days across the time of renewal: it is as with the issue server."""
        home = self.home(SHORT)
        self.run_to(home, 3.5)
        home.proof.away = True
        self.run_to(home, 5.3)
        self.assertEqual(home.orders, 1)
        home.proof.away = False
        home.run_for(RETRY_SECONDS)
        self.assertEqual((home.orders, home.bare_minutes, home.unannounced_minutes), (2, 0, 0))


class RestartTests(SynchronousTestCase):
    """A client that is stopped and started again."""

    def home(self) -> Home:
        home = Home(self, SHORT)
        home.start()
        home.run_for(DAY)
        return home

    def test_in_the_middle(self) -> None:
        """It orders nothing, is announced again at once, and renews when it would have."""
        home = self.home()
        planned = home.planned
        for _ in range(5):
            home.stop()
            home.run_for(HOUR)
            home.start()
            home.run_for(HOUR)
            self.assertEqual((home.orders, home.announced), (1, {HERE}))
        home.run_until(planned - MINUTE)
        self.assertEqual(home.orders, 1)
        home.run_for(2 * MINUTE)
        self.assertEqual((home.orders, home.bare_minutes), (2, 0))

    def test_while_the_server_is_away(self) -> None:
        """The stored certificate does for that time."""
        home = self.home()
        home.stop()
        home.set_away(0, True)
        home.start()
        home.run_for(2 * DAY)
        self.assertEqual((home.orders, home.announced, home.bare_minutes), (1, {HERE}, 0))
        self.assertEqual((home.failures, home.loud), ([], []))

    def test_when_it_is_due(self) -> None:
        """It serves what it has, and has the next at once."""
        home = self.home()
        home.stop()
        home.run_for(4 * DAY)
        home.start()
        home.run_for(MINUTE)
        self.assertEqual((home.orders, len(home.taken), home.bare_minutes), (2, 3, 0))
        self.assertEqual(home.taken[1].chain, home.taken[0].chain)

    def test_after_the_end(self) -> None:
        """A certificate that is over is replaced, and not served or announced before."""
        home = self.home()
        first = home.taken[0].chain
        home.stop()
        home.run_for(7 * DAY)
        home.set_away(0, True)
        home.start()
        home.run_for(HOUR)
        self.assertEqual((home.client.current, home.client.certificates.names), (None, frozenset()))  # type: ignore[union-attr]
        home.set_away(0, False)
        home.run_for(MINUTE)
        self.assertEqual((home.orders, home.announced, len(home.taken)), (2, {HERE}, 2))
        self.assertNotEqual(home.taken[1].chain, first)


class ClockTests(SynchronousTestCase):
    """The machine's clock is set; what is announced is good by the true time all the while (`Home` sees to it)."""

    def test_for_an_hour(self) -> None:
        """That costs one order at most, and no gap."""
        for ahead in (90 * DAY, -90 * DAY, 3650 * DAY, -3650 * DAY, 3 * HOUR, -3 * HOUR):
            home = Home(self, SHORT, pace=15 * MINUTE)
            home.start()
            home.run_for(DAY)
            home.machine.ahead = ahead
            home.run_for(HOUR)
            home.machine.ahead = 0
            home.run_for(2.5 * DAY)
            self.assertLessEqual(home.orders, 2, ahead)
            self.assertEqual((home.announced, home.bare_minutes), ({HERE}, 0), ahead)
            home.run_for(7 * DAY)
            self.assertLessEqual(home.orders, 4, ahead)
            self.assertEqual((home.announced, home.bare_minutes), ({HERE}, 0), ahead)
            home.end()

    def test_ahead_at_the_start(self) -> None:
        """Every certificate seems to be over: that is said, and with the clock put right it is announced."""
        home = Home(self, SHORT)
        home.machine.ahead = 90 * DAY
        with capturedLogs() as events:
            home.start()
            home.run_for(MINUTE)
        warned = [formatEvent(event) or "" for event in events if event["log_level"] is LogLevel.warn]
        self.assertTrue(any("set the clock, which is ahead" in text for text in warned), warned)
        self.assertEqual((home.orders, home.announced), (1, set()))
        home.machine.ahead = 0
        home.run_for(2 * MINUTE)
        self.assertEqual((home.orders, home.announced), (1, {HERE}))

    def test_behind_for_good(self) -> None:
        """It renews by the time that passes."""
        home = Home(self, SHORT, pace=15 * MINUTE)
        home.start()
        home.run_for(DAY)
        home.machine.ahead = -90 * DAY
        home.run_for(13 * DAY)
        self.assertEqual((home.bare_minutes, home.announced), (0, {HERE}))
        self.assertEqual(home.orders, 4)
