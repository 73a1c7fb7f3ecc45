"""A client whose addresses change."""

from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme import AcmeUnreachable
from nodetrust.names import IPAddress
from tests.simulation.home import HERE, MINUTE, SHORT, SIX, THERE, Home
from tests.simulation.timeline import DAY, HOUR

SOON_SECONDS = 30.0
"""Until a machine that knows its own addresses is announced at another: it looks every ten seconds, the proofs and the
order take five each, and a look from outside one."""

SILENT_SECONDS = MINUTE
"""The same behind a router: only when yamux has given up the connections is there a word of it."""

APART_SECONDS = 90.0
"""The same soon after another move: the distance between two grows."""


class MoveTests(SynchronousTestCase):
    """Away for good, and sometimes back."""

    def home(self, **options: bool) -> Home:
        home = Home(self, SHORT, **options)
        home.start()
        home.run_for(HOUR)
        self.assertEqual((home.announced, home.orders), ({HERE}, 1))
        return home

    def move(self, home: Home, *places: IPAddress, within: float) -> None:
        """It is announced where it is now, in time, and nowhere else; no failure is told on the way."""
        home.move(*places)
        home.run_for(within)
        self.assertEqual(home.announced, set(places))
        self.assertEqual((home.failures, home.loud, home.bare_minutes), ([], [], 0))

    def test_to_another_network(self) -> None:
        """Dead connections do not hold it up; it costs one order, and the renewal comes when it would."""
        home = self.home()
        self.move(home, THERE, within=SOON_SECONDS)
        home.run_for(3.9 * DAY)
        self.assertEqual(home.orders, 2)
        home.run_for(0.4 * DAY)
        self.assertEqual((home.orders, home.announced), (3, {THERE}))

    def test_behind_a_router(self) -> None:
        """Nothing changes at the machine; the issue server tells it."""
        home = self.home(behind=True)
        self.move(home, THERE, within=SILENT_SECONDS)
        self.assertEqual(home.orders, 2)

    def test_there_and_back(self) -> None:
        """The certificate of before is taken up again."""
        home = self.home()
        self.move(home, THERE, within=SOON_SECONDS)
        home.run_for(HOUR)
        self.move(home, HERE, within=SOON_SECONDS)
        self.assertEqual(home.orders, 2)
        self.assertEqual(home.taken[2].chain, home.taken[0].chain)

    def test_ipv6(self) -> None:
        """Where it appears it is certified beside the other; where one of them goes, no order is needed."""
        home = self.home()
        self.move(home, HERE, SIX, within=SOON_SECONDS)
        self.assertEqual(home.orders, 2)
        self.move(home, HERE, within=APART_SECONDS)
        self.move(home, SIX, within=APART_SECONDS)
        self.move(home, HERE, SIX, within=APART_SECONDS)
        self.assertEqual(home.orders, 2)

    def test_offline_for_a_day(self) -> None:
        """Then at the same place again: nothing is ordered."""
        home = self.home()
        home.move()
        home.run_for(DAY)
        home.move(HERE)
        home.run_for(5 * MINUTE)
        self.assertEqual((home.orders, home.announced), (1, {HERE}))

    def test_without_a_certificate_for_it(self) -> None:
        """While the CA is down, it is announced nowhere: not where it is no more, either."""
        home = self.home()
        home.ca.failure = AcmeUnreachable("no route to the CA")
        home.move(THERE)
        home.run_for(3 * MINUTE)
        self.assertEqual((home.announced, home.orders, home.loud[0].level), (set(), 1, LogLevel.warn))
        home.ca.failure = None
        home.run_for(2 * HOUR)
        self.assertEqual((home.announced, home.orders), ({THERE}, 2))

    def test_two_uplinks_that_take_turns(self) -> None:
        """Every half hour for a week: one certificate for each in its life, and announced is where it is."""
        home = self.home()
        for turn in range(7 * 48):
            place = THERE if turn % 2 == 0 else HERE
            self.move(home, place, within=SOON_SECONDS)
            home.run_for(HOUR / 2 - SOON_SECONDS)
        self.assertEqual(home.orders, 4)
