"""Certificates' whole lives of one client, at a place where nothing else happens, and when the CA changes its mind."""

from collections.abc import Callable

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme.wire import RenewalWindow
from tests.simulation.home import HERE, LONG, MINUTE, SHORT, Home
from tests.simulation.timeline import DAY, HOUR

Window = Callable[[x509.Certificate], RenewalWindow]

PACES = {SHORT: 15 * MINUTE, LONG: HOUR}
ORDER_SECONDS = 30.0
"""From the plan to the certificate: proofs take five seconds (over IPv6 nobody answers), and so does the order."""

LATEST_WORD_SECONDS = 10.5 * HOUR
"""Until a client has another certificate that the CA wants to be replaced: the server asks every six hours and a
quarter, the client every three and three quarters."""


def share(first: float, last: float) -> Window:
    """ARI windows of so much of a life."""

    def window(leaf: x509.Certificate) -> RenewalWindow:
        began, life = leaf.not_valid_before_utc, leaf.not_valid_after_utc - leaf.not_valid_before_utc
        return RenewalWindow(began + first * life, began + last * life)

    return window


def at_once(wanted: x509.Certificate, others: Window) -> Window:
    """A window that is over for one certificate, and that of the others."""
    return lambda leaf: (share(-0.02, -0.01) if leaf == wanted else others)(leaf)


class QuietTests(SynchronousTestCase):
    """Nothing happens but that time passes."""

    def check_life(self, home: Home, first: float, last: float) -> None:
        """Each certificate came when it was planned, in these shares of the life of the one before, and no other."""
        life = home.ca.life.total_seconds()
        lives = (home.now - home.taken[0].at) / life
        self.assertEqual(home.orders, len(home.taken))
        self.assertTrue(int(lives / last) <= home.orders - 1 <= int(lives / first), home.orders)
        for before, after in zip(home.taken, home.taken[1:], strict=False):
            assert after.planned is not None
            share = (after.planned - before.chain.not_before.timestamp()) / life
            self.assertTrue(first <= share <= last, share)
            self.assertTrue(0 <= after.at - after.planned < ORDER_SECONDS, after.at - after.planned)
        self.assertEqual((home.bare_minutes, home.failures), (0, []))
        self.assertLessEqual(home.unannounced_minutes, 1)
        self.assertEqual(home.loud, [])
        self.assertEqual(home.announced, {HERE})

    def test_without_ari(self) -> None:
        """At two thirds of a life, and up to a tenth of the last third later."""
        for life, lives in ((SHORT, 5), (LONG, 2)):
            home = Home(self, life, pace=PACES[life])
            home.start()
            home.run_for(lives * life.total_seconds())
            self.check_life(home, 2 / 3, 0.7)
            home.end()

    def test_with_ari(self) -> None:
        """In the window that the CA gives, though the client would wait for longer."""
        for life, lives in ((SHORT, 5), (LONG, 2)):
            home = Home(self, life, pace=PACES[life])
            home.ca.window = share(0.4, 0.45)
            home.start()
            home.run_for(lives * life.total_seconds())
            self.check_life(home, 0.4, 0.45)
            home.end()

    def test_the_ca_wants_it_back(self) -> None:
        """After a day: there is another one soon, and for that the plan is as ever."""
        for life in (SHORT, LONG):
            home = Home(self, life, pace=PACES[life])
            home.ca.window = share(0.7, 0.75)
            home.start()
            home.run_for(DAY)
            home.ca.window = at_once(home.taken[0].chain.leaf, share(0.7, 0.75))
            home.run_for(LATEST_WORD_SECONDS)
            self.assertEqual(home.orders, 2)
            home.run_until(home.taken[1].at + 0.69 * life.total_seconds())
            self.assertEqual(home.orders, 2)
            home.run_for(0.07 * life.total_seconds())
            self.assertEqual(home.orders, 3)
            self.assertEqual((home.bare_minutes, home.failures, home.loud), (0, [], []))
            home.end()
