"""When something is announced."""

from itertools import pairwise
from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.discovery import TOPIC, Announcer, decode_announcement
from nodetrust.discovery.announcement import MAX_ANNOUNCED_ADDRESSES
from nodetrust.discovery.announcer import JITTER, SOON_COUNT, SOON_SECONDS
from tests.discovery.test_announcement import AUTHOR, OTHER, PLACE, places
from tests.discovery.test_topic import FakePubSub

INTERVAL = 5.0


class AnnouncerTests(SynchronousTestCase):
    def setUp(self):
        self.clock, self.pubsub = Clock(), FakePubSub()
        self.announcer = self.make(1)

    def make(self, seed):
        return Announcer(self.pubsub, self.clock, Random(seed), INTERVAL)

    def times(self, seconds):
        """When something is published within so many seconds, in eighths."""
        times = []
        for _ in range(round(seconds * 8)):
            before = len(self.pubsub.published)
            self.clock.advance(0.125)
            if len(self.pubsub.published) > before:
                times.append(self.clock.seconds())
        return times

    def said(self):
        topic, payload = self.pubsub.published[-1]
        self.assertEqual(topic, TOPIC)
        return decode_announcement(payload, AUTHOR)

    def settle(self):
        self.announcer.set_addresses([PLACE])
        self.announcer.start()
        self.times(SOON_COUNT * SOON_SECONDS)

    def test_at_a_start(self):
        """At once, twice more soon, and then at the interval, more or less."""
        self.announcer.set_addresses([PLACE])
        self.assertEqual(self.pubsub.published, [])
        self.announcer.start()
        self.assertEqual(len(self.pubsub.published), 1)
        times = self.times(300)
        self.assertEqual(times[:2], [1.0, 2.0])
        gaps = [after - before for before, after in pairwise(times[1:])]
        self.assertGreaterEqual(min(gaps), INTERVAL * (1 - JITTER) - 0.125)
        self.assertLessEqual(max(gaps), INTERVAL * (1 + JITTER) + 0.125)
        self.assertGreater(max(gaps) - min(gaps), INTERVAL * JITTER)

    def test_no_beat(self):
        """Two that start together do not stay together."""
        other = self.make(2)
        for one in (self.announcer, other):
            one.set_addresses([PLACE])
            one.start()
        self.times(60)
        self.assertGreater(len(self.times(0.9 * INTERVAL)), 1)

    def test_nothing_to_say(self):
        """Without addresses nothing is published, and nothing any more when there are none left."""
        self.announcer.start()
        self.assertEqual(self.times(20), [])
        self.announcer.set_addresses([PLACE])
        self.assertEqual(len(self.pubsub.published), 1)
        self.announcer.set_addresses([])
        self.assertEqual(self.times(20), [])

    def test_a_change(self):
        """Other addresses are told at once, and soon again; the same are no change."""
        self.settle()
        before = len(self.pubsub.published)
        self.announcer.set_addresses([PLACE])
        self.assertEqual(len(self.pubsub.published), before)
        self.announcer.set_addresses(places(1))
        self.assertEqual(self.said().addresses, (places(1)[0].with_peer_id(AUTHOR),))
        self.assertEqual(len(self.times(2 * SOON_SECONDS + 0.125)), 2)

    def test_somebody_new(self):
        """A peer that joins the topic hears it within a second, and those who stay do not make us say more."""
        self.settle()
        self.pubsub.joined = frozenset({OTHER})
        self.assertGreaterEqual(len(self.times(SOON_SECONDS)), 1)
        self.assertLessEqual(len(self.times(INTERVAL)), 2)

    def test_crowds(self):
        """However many come and go, there is no more than one a second for that."""
        self.settle()
        before = len(self.pubsub.published)
        for _ in range(200):
            self.pubsub.joined = frozenset() if self.pubsub.joined else frozenset({OTHER})
            self.clock.advance(0.05)
        self.assertLessEqual(len(self.pubsub.published) - before, 10 / SOON_SECONDS + 10 / INTERVAL + 1)

    def test_a_peer_behind(self):
        """Who is at the addresses stands in each announcement."""
        self.announcer.set_addresses([PLACE], OTHER)
        self.announcer.start()
        self.assertEqual(self.said().peer, OTHER)

    def test_too_many(self):
        """The first ones, as many as others take."""
        self.announcer.set_addresses(places(MAX_ANNOUNCED_ADDRESSES + 1))
        self.announcer.start()
        self.assertEqual(len(self.said().addresses), MAX_ANNOUNCED_ADDRESSES)

    def test_the_end(self):
        """Nothing comes after `stop`, whatever happens, and nothing is left on the clock; it can be started anew."""
        self.settle()
        self.announcer.stop()
        self.pubsub.joined = frozenset({OTHER})
        self.announcer.set_addresses(places(1))
        self.assertEqual((self.times(20), self.clock.getDelayedCalls()), ([], []))
        self.announcer.start()
        self.assertEqual(len(self.said().addresses), 1)
        self.announcer.stop()
