"""Which peers are dialled, and which are left."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.discovery import Announced
from nodetrust.discovery.neighbourhood import (
    BACKOFF_JITTER,
    FIRST_BACKOFF_SECONDS,
    GRACE_SECONDS,
    MAX_BACKOFF_SECONDS,
    MAX_BACKOFFS,
    MAX_DIALLED_SHARE,
    MAX_DIALS,
    WANTED_DIALLED,
    Neighbourhood,
)
from tests.discovery.test_table import peer, says

OWN = 10**9


def entry(number, behind=None):
    return Announced(says(number, behind=behind), float(number), float(number), 1)


class NeighbourhoodTests(SynchronousTestCase):
    def setUp(self):
        self.neighbourhood = Neighbourhood(peer(OWN), Random(1), wanted=6)
        self.announced = [entry(number) for number in range(20)]
        self.connected, self.joined, self.now = set(), set(), 0.0

    def step(self, seconds=0.0):
        self.now += seconds
        return self.neighbourhood.step(self.announced, self.connected, self.joined, self.now)

    def dialled(self, step):
        return [one.announcement.peer for one in step.dial]

    def reach(self, *peers, joins=True):
        for one in peers:
            self.neighbourhood.reached(one, self.now)
            self.connected.add(one)
            if joins:
                self.joined.add(one)

    def fill(self):
        while dialled := self.dialled(self.step(1.0)):
            self.reach(*dialled)

    def lose(self, one):
        self.connected.discard(one)
        self.joined.discard(one)

    def test_until_there_are_enough(self):
        """A few at a time, until so many are in the topic, whoever has dialled the others."""
        self.connected = self.joined = {peer(18), peer(19)}
        first = self.dialled(self.step())
        self.assertEqual(len(set(first)), MAX_DIALS)
        self.assertEqual(self.dialled(self.step()), [])
        self.reach(*first)
        second = self.dialled(self.step())
        self.assertEqual((len(second), set(second) & self.connected), (1, set()))
        self.reach(*second)
        self.assertEqual(self.dialled(self.step()), [])

    def test_a_crowd_that_dials_us(self):
        """However many they are, there are some whom we chose; who is lost of those is replaced."""
        self.announced += [entry(number) for number in range(100, 120)]
        self.connected = self.joined = {peer(number) for number in range(100, 120)}
        self.fill()
        chosen = self.joined - {peer(number) for number in range(100, 120)}
        self.assertEqual(len(chosen), WANTED_DIALLED)
        self.lose(min(chosen))
        self.assertEqual(len(self.dialled(self.step())), 1)

    def test_lost_ones(self):
        """Whoever is lost is replaced."""
        self.fill()
        self.assertEqual(len(self.joined), 6)
        for one in list(self.joined)[:2]:
            self.lose(one)
        self.assertEqual(len(self.dialled(self.step())), 2)

    def test_who_is_not_dialled(self):
        """We ourselves, whoever announces us, and those who are connected."""
        self.announced = [entry(OWN), entry(1, behind=OWN), entry(2)]
        self.connected = {peer(2)}
        self.assertEqual(self.dialled(self.step()), [])

    def test_failures(self):
        """After each in a row it takes twice as long until the next try, up to a limit; a success clears that."""
        self.announced = [entry(1)]
        self.step()
        wait = FIRST_BACKOFF_SECONDS
        for _ in range(10):
            self.neighbourhood.failed(peer(1), self.now)
            self.assertEqual(self.dialled(self.step(wait * (1 - BACKOFF_JITTER) - 0.1)), [])
            self.assertEqual(self.dialled(self.step(wait * 2 * BACKOFF_JITTER + 0.2)), [peer(1)])
            wait = min(2 * wait, MAX_BACKOFF_SECONDS)
        self.reach(peer(1))
        self.step()
        self.lose(peer(1))
        self.assertEqual(self.dialled(self.step()), [peer(1)])

    def test_somebody_elses_word(self):
        """Who announces a peer at a place where it is not keeps nobody from where it says that it is."""
        self.announced = [entry(1, behind=2)]
        self.step()
        self.neighbourhood.failed(peer(2), self.now)
        self.announced.append(entry(2))
        (again,) = self.step().dial
        self.assertEqual(again.announcement.author, peer(2))

    def test_one_dial_for_a_peer(self):
        """However many announce it."""
        self.announced = [entry(number, behind=1) for number in range(5)]
        self.assertEqual(self.dialled(self.step()), [peer(1)])

    def test_silent_ones(self):
        """Who does not join in time is to be left until it is gone, and not dialled again for long."""
        self.announced = [entry(1)]
        self.reach(*self.dialled(self.step()), joins=False)
        self.assertEqual(self.step(GRACE_SECONDS - 0.1).leave, frozenset())
        for _ in range(2):
            self.assertEqual(self.step(0.1).leave, {peer(1)})
        self.lose(peer(1))
        self.assertEqual(self.step(MAX_BACKOFF_SECONDS - 1).dial, ())
        self.assertEqual(self.dialled(self.step(2)), [peer(1)])

    def test_silent_ones_do_not_stop_the_search(self):
        """Others are dialled in their place, but there is a limit to what we hold open."""
        self.announced = [entry(number) for number in range(100)]
        for _ in range(100):
            self.reach(*self.dialled(self.step(GRACE_SECONDS)), joins=False)
        self.assertEqual(len(self.connected), MAX_DIALLED_SHARE * 6)

    def test_who_leaves_the_topic(self):
        """It has the same time to come back."""
        self.announced = [entry(1)]
        self.reach(*self.dialled(self.step()))
        self.step(100)
        self.joined.clear()
        self.assertEqual(self.step(1).leave, frozenset())
        self.assertEqual(self.step(GRACE_SECONDS).leave, {peer(1)})
        self.joined.add(peer(1))
        self.assertEqual(self.step(1).leave, frozenset())

    def test_who_closes_at_once(self):
        """A peer that takes the connection and drops it before it joined has failed."""
        self.announced = [entry(1)]
        self.reach(*self.dialled(self.step()), joins=False)
        self.lose(peer(1))
        self.assertEqual(self.dialled(self.step(1)), [])
        self.assertEqual(self.dialled(self.step(2 * FIRST_BACKOFF_SECONDS)), [peer(1)])

    def test_a_flood_of_fresh_keys(self):
        """Peers that were there for longest are chosen more often than chance would have it."""
        old = {peer(number) for number in range(25)}
        self.announced = [entry(number) for number in range(100)]
        chosen = []
        for _ in range(200):
            dialled = self.dialled(self.step())
            chosen += dialled
            for one in dialled:
                del self.neighbourhood._links[one]
        self.assertGreater(sum(one in old for one in chosen), 0.4 * len(chosen))
        self.assertGreater(len(set(chosen) - old), 20)

    def test_memory(self):
        """Failures of very many authors are forgotten, the oldest first."""
        for number in range(MAX_BACKOFFS + 10):
            self.announced = [entry(number)]
            (one,) = self.dialled(self.step())
            self.neighbourhood.failed(one, self.now)
        self.assertEqual(len(self.neighbourhood._backoffs), MAX_BACKOFFS)

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.sampled_from("dfrjlqt"), st.integers(0, 9)), max_size=80))
    def test_what_always_holds(self, events):
        """Never too many dials or links, and nobody is dialled who is connected or dialled already."""
        self.setUp()
        self.announced = [entry(number) for number in range(10)]
        dialling = set()
        for what, number in events:
            one = peer(number)
            if what == "t":
                self.now += 10 * number
            elif what in "fr" and one in dialling:
                dialling.discard(one)
                if what == "f":
                    self.neighbourhood.failed(one, self.now)
                else:
                    self.reach(one, joins=False)
            elif what == "j" and one in self.connected:
                self.joined.add(one)
            elif what == "q":
                self.joined.discard(one)
            elif what == "l":
                self.lose(one)
            dialled = self.dialled(self.step())
            self.assertFalse(set(dialled) & (dialling | self.connected))
            dialling |= set(dialled)
            self.assertLessEqual(len(dialling), MAX_DIALS)
            self.assertLessEqual(len(self.neighbourhood._links), MAX_DIALLED_SHARE * 6)
