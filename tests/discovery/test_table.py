"""Who is announced now."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.discovery import Announcement, table
from nodetrust.discovery.table import (
    EXPIRY_SECONDS,
    MAX_AUTHORS,
    SETTLED_SECONDS,
    PeerChanged,
    PeerFound,
    PeerGone,
    PeerTable,
)
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId

HOME = (Multiaddr.parse("/ip4/192.0.2.1/tcp/1"),)
AWAY = (Multiaddr.parse("/ip4/192.0.2.2/tcp/1"),)


def peer(number):
    return PeerId(b"\x12\x20" + number.to_bytes(32, "big"))


def says(number, addresses=HOME, behind=None):
    return Announcement(peer(number), peer(number if behind is None else behind), addresses)


MAX_SETTLED = MAX_AUTHORS // 2
MAX_WEIGHT_HERE = 5 * table._weight(
    Announcement(PeerId(b"\x12\x20" + bytes(32)), PeerId(b"\x12\x20" + bytes(32)), HOME)
)


class TableTests(SynchronousTestCase):
    def setUp(self):
        self.table = PeerTable()

    def kinds(self, news):
        return [type(one) for one in news]

    def test_found_renewed_gone(self):
        """A first announcement is news, its like is not; nobody speaks for a while, and the peer is gone, once."""
        (found,) = self.table.heard(says(1), 100.0)
        self.assertEqual((found.peer.announcement, found.peer.count), (says(1), 1))
        self.assertEqual(self.table.heard(says(1), 105.0), [])
        entry = self.table.get(peer(1))
        self.assertEqual((entry.first_seen, entry.last_seen, entry.count), (100.0, 105.0, 2))
        self.assertEqual(self.table.expire(105.0 + EXPIRY_SECONDS - 0.1), [])
        self.assertEqual(self.table.expire(105.0 + EXPIRY_SECONDS), [PeerGone(entry)])
        self.assertEqual((list(self.table), self.table.expire(1e9)), ([], []))

    def test_moved(self):
        """Other addresses are news, with the old ones beside; the same in another order are not."""
        self.table.heard(says(1, HOME + AWAY), 100.0)
        self.assertEqual(self.table.heard(says(1, AWAY + HOME), 101.0), [])
        before = self.table.get(peer(1))
        self.assertEqual(self.table.heard(says(1, AWAY), 102.0), [PeerChanged(self.table.get(peer(1)), before)])
        self.assertEqual(self.table.get(peer(1)).announcement.addresses, AWAY)

    def test_another_peer_of_the_same_author(self):
        """An author announces one peer at a time: with another the first is gone."""
        self.table.heard(says(1), 100.0)
        before = self.table.get(peer(1))
        found = PeerFound(self.table.heard(says(1, behind=2), 105.0)[1].peer)
        self.assertEqual(found.peer.announcement.peer, peer(2))
        self.assertEqual(list(self.table), [found.peer])
        self.assertEqual(self.table.heard(says(1), 106.0)[0], PeerGone(found.peer))
        self.assertEqual(before.announcement.peer, peer(1))

    def test_two_authors_of_one_peer(self):
        """Nobody can change where a peer says itself that it is."""
        self.table.heard(says(1), 100.0)
        self.assertEqual(self.kinds(self.table.heard(says(2, AWAY, behind=1), 100.0)), [PeerFound])
        self.assertEqual(self.table.get(peer(1)).announcement.addresses, HOME)

    def test_hearing_expires_others(self):
        """Nobody has to ask who is gone: news comes in the order in which it holds."""
        self.table.heard(says(1), 100.0)
        self.assertEqual(self.kinds(self.table.heard(says(2), 100.0 + EXPIRY_SECONDS)), [PeerGone, PeerFound])


class FloodTests(SynchronousTestCase):
    """Somebody announces fresh keys as fast as he can."""

    def setUp(self):
        self.table = PeerTable()
        self.now = 0.0
        self.keys = iter(range(10**6, 10**9))

    def flood(self, count, seconds):
        for _ in range(count):
            self.now += seconds / count
            self.table.heard(says(next(self.keys)), self.now)

    def test_those_who_were_there_stay(self):
        """Half of the places are for peers that go on: a flood takes none of them, as long as they are heard at all."""
        residents = range(MAX_SETTLED)
        for _ in range(2):
            for one in residents:
                self.table.heard(says(one), self.now)
            self.now += SETTLED_SECONDS
        self.flood(3 * MAX_AUTHORS, EXPIRY_SECONDS - SETTLED_SECONDS - 1)
        self.assertEqual(len(self.table), MAX_AUTHORS)
        self.assertTrue(all(self.table.get(peer(one)) for one in residents))

    def test_a_newcomer_in_a_flood(self):
        """A flood at the most that pubsub checks for one peer (200 a second) keeps no newcomer out."""
        self.flood(2 * MAX_AUTHORS, 40)
        found = 0
        for _ in range(12):
            found += any(isinstance(news, PeerFound) for news in self.table.heard(says(1), self.now))
            self.flood(5 * 200, 5)
            self.assertIsNotNone(self.table.get(peer(1)))
        self.assertEqual(found, 1)

    def test_settled_places_come_free(self):
        """Who goes on gets the place of a settled peer that has gone."""
        for _ in range(2):
            for one in range(MAX_SETTLED + 1):
                self.table.heard(says(one), self.now)
            self.now += SETTLED_SECONDS
        last = MAX_SETTLED
        self.assertNotIn(peer(last), self.table._settled.entries)
        self.now += EXPIRY_SECONDS - 10
        self.table.heard(says(last), self.now)
        self.now += 10
        self.table.heard(says(last), self.now)
        self.assertIn(peer(last), self.table._settled.entries)

    def test_weight(self):
        """Peers with very long addresses make room for each other, and leave the settled ones alone."""
        for _ in range(2):
            self.table.heard(says(1), self.now)
            self.now += SETTLED_SECONDS
        long = tuple(Multiaddr.parse(f"/dns4/{'x' * 250}/sni/{'y' * 250}/tcp/{port}") for port in range(16))
        for _ in range(3):
            one = next(self.keys)
            for _ in range(2):
                self.table.heard(says(one, long), self.now)
                self.now += SETTLED_SECONDS
        for _ in range(2 * MAX_AUTHORS):
            self.table.heard(says(next(self.keys), long), self.now)
        self.assertIsNotNone(self.table.get(peer(1)))
        self.assertLessEqual(self.table._settled.weight + self.table._newcomers.weight, table.MAX_WEIGHT)
        self.assertGreater(len(self.table), 1000)


class SequencesOfEventsTests(SynchronousTestCase):
    @settings(deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 7),
                st.sampled_from([HOME, AWAY, HOME + AWAY]),
                st.booleans(),
                st.floats(0, 70),
            ),
            max_size=60,
        )
    )
    def test_what_always_holds(self, events):
        """Those found and not gone are those in the table, which stays in its bounds; news is told once."""
        self.patch(table, "MAX_AUTHORS", 4)
        self.patch(table, "MAX_WEIGHT", MAX_WEIGHT_HERE)
        peers, now, told = PeerTable(), 0.0, {}
        for who, addresses, behind, passed in events:
            now += passed
            announcement = says(who, addresses, 100 + who if behind else None)
            news = peers.heard(announcement, now)
            for one in news:
                author = one.peer.announcement.author
                if isinstance(one, PeerFound):
                    self.assertNotIn(author, told)
                    told[author] = one.peer.announcement
                elif isinstance(one, PeerChanged):
                    self.assertEqual(told[author], one.before.announcement)
                    told[author] = one.peer.announcement
                else:
                    self.assertEqual(told.pop(author), one.peer.announcement)
            self.assertEqual(told, {entry.announcement.author: entry.announcement for entry in peers})
            self.assertLessEqual(len(peers), 4)
            self.assertLessEqual(len(peers._settled.entries), 2)
            weights = [sum(map(table._weight, told.values())), peers._settled.weight + peers._newcomers.weight]
            self.assertEqual(weights[0], weights[1])
            self.assertLessEqual(weights[0], MAX_WEIGHT_HERE)
            self.assertEqual(peers.get(peer(who)).announcement, announcement)
            self.assertTrue(all(now - entry.last_seen < EXPIRY_SECONDS for entry in peers))
