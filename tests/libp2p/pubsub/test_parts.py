"""The router's parts, each alone: what they remember, and that they forget."""

from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.pubsub import backoff, gossip, rates, score
from nodetrust.libp2p.pubsub.backoff import Backoffs
from nodetrust.libp2p.pubsub.gossip import Promises
from nodetrust.libp2p.pubsub.ids import MessageIds, message_ids
from nodetrust.libp2p.pubsub.mcache import MessageCache
from nodetrust.libp2p.pubsub.numbers import HighestNumbers, WallClockNumbers
from nodetrust.libp2p.pubsub.parameters import MAX_BACKOFF_SECONDS
from nodetrust.libp2p.pubsub.rates import AuthorRates
from nodetrust.libp2p.pubsub.score import GRAYLIST_THRESHOLD, Scores
from nodetrust.libp2p.pubsub.seen import SeenMessages
from nodetrust.libp2p.pubsub.unwanted import Unwanted
from nodetrust.libp2p.pubsub.wire import Message

A, B, C = (PrivateKey.from_seed(bytes([n]) * 32).peer_id for n in (1, 2, 3))


def made(number: int, topic: str = "t", size: int = 1) -> tuple[Message, MessageIds]:
    """An unsigned message of A's and its IDs."""
    seqno = number.to_bytes(8, "big")
    return Message(A.multihash, bytes(size), seqno, topic), message_ids(A, seqno, None)


class SeenMessagesTests(SynchronousTestCase):
    def test_remembers_for_so_long(self) -> None:
        """A message is known under all its IDs for the time given, which seeing it again does not prolong."""
        seen = SeenMessages(120, 10)
        ids = made(1)[1]
        seen.add(ids, 0)
        seen.add(ids, 100)
        seen.expire(119.9)
        self.assertTrue(all(message_id in seen for message_id in ids))
        seen.expire(120)
        self.assertFalse(any(message_id in seen for message_id in ids))

    def test_is_bounded(self) -> None:
        """Beyond the limit the oldest is forgotten."""
        seen = SeenMessages(120, 3)
        for number in range(5):
            seen.add(made(number)[1], 0)
        self.assertEqual(len(seen), 3)
        self.assertEqual([made(number)[1].go in seen for number in range(5)], [False, False, True, True, True])


class WallClockNumbersTests(SynchronousTestCase):
    def test_rise_whatever_the_clock_does(self) -> None:
        """Numbers follow the clock, and go on from the last where it stands still or is set back."""
        numbers = WallClockNumbers(iter((100, 100, 50, 300)).__next__)
        self.assertEqual([numbers() for _ in range(4)], [100, 101, 102, 300])


class HighestNumbersTests(SynchronousTestCase):
    def test_only_higher_numbers(self) -> None:
        """An equal or lower number is refused, and changes nothing; each author has numbers of its own."""
        highest = HighestNumbers()
        self.assertEqual(
            [highest.admit(A, seqno) for seqno in (5, 5, 4, 6, 5, 7)], [True, False, False, True, False, True]
        )
        self.assertEqual([highest.admit(B, seqno) for seqno in (0, 0, 2**64 - 1)], [True, False, True])

    def test_bounded(self) -> None:
        """Beyond the limit the author that has been quiet for longest is forgotten; one that is refused is quiet."""
        highest = HighestNumbers(2)
        for author, seqno in ((A, 1), (B, 1), (A, 2), (B, 1), (C, 1)):
            highest.admit(author, seqno)
        self.assertEqual(len(highest), 2)
        self.assertEqual([highest.admit(author, 1) for author in (A, C, B)], [False, False, True])


class UnwantedTests(SynchronousTestCase):
    def test_known_under_every_id(self) -> None:
        """A message is unwanted if one of its IDs was named, whichever; others are not."""
        ids = made(1)[1]
        for message_id in ids:
            unwanted = Unwanted(10, 3)
            self.assertNotIn(ids, unwanted)
            unwanted.add((b"", message_id))
            self.assertIn(ids, unwanted)
            self.assertNotIn(made(2)[1], unwanted)

    def test_remembers_for_so_many_heartbeats(self) -> None:
        """Naming a message again prolongs it."""
        unwanted = Unwanted(10, 2)
        held = []
        for named in (True, True, False, False):
            unwanted.add([made(1)[1].js] * named)
            held.append(made(1)[1] in unwanted)
            unwanted.shift()
        self.assertEqual([held, len(unwanted)], [[True, True, True, False], 0])

    def test_is_bounded(self) -> None:
        """Of more IDs than the limit the first are kept, and the flood is noted until the next heartbeat."""
        unwanted = Unwanted(2, 3)
        flooded = []
        for numbers in ((1, 2), (1, 3), ()):
            unwanted.add(made(number)[1].go for number in numbers)
            flooded.append(unwanted.flooded)
        self.assertEqual([made(number)[1] in unwanted for number in (1, 2, 3)], [True, True, False])
        unwanted.shift()
        self.assertEqual((flooded, unwanted.flooded, len(unwanted)), ([False, True, True], False, 2))


class MessageCacheTests(SynchronousTestCase):
    def test_windows(self) -> None:
        """A message is announced for three heartbeats, handed out for five, and then gone."""
        cache = MessageCache(5, 3, 3, 1000)
        message, ids = made(1)
        cache.put(message, ids)
        held = []
        for _ in range(6):
            held.append(
                (bool(cache.to_announce("t")), cache.take_for(PrivateKey.generate().peer_id, ids.js) is not None)
            )
            cache.shift()
        self.assertEqual(held, [(True, True)] * 3 + [(False, True)] * 2 + [(False, False)])

    def test_found_under_all_ids_three_times_a_peer(self) -> None:
        """IWANT is answered in every style; the fourth request of one peer is not, another's is."""
        cache = MessageCache(5, 3, 3, 1000)
        message, ids = made(1)
        cache.put(message, ids)
        self.assertEqual(
            [cache.take_for(B, message_id) for message_id in (*ids, ids.go)], [(message, ids)] * 3 + [None]
        )
        self.assertEqual(cache.take_for(C, ids.rust), (message, ids))
        self.assertIsNone(cache.take_for(C, b"unknown"))

    def test_is_bounded_in_bytes(self) -> None:
        """Beyond the limit the oldest messages go, and their windows may still be shifted."""
        cache = MessageCache(2, 2, 3, 1000)
        for number in range(10):
            cache.put(*made(number, size=200))
        kept = [ids for ids in (made(number)[1] for number in range(10)) if cache.take_for(B, ids.go)]
        self.assertEqual(kept, [made(number)[1] for number in (7, 8, 9)])
        cache.shift()
        cache.shift()
        cache.put(*made(11, size=900))
        self.assertEqual(cache.to_announce("t"), [made(11)[1]])

    def test_announces_by_topic(self) -> None:
        """Only messages of the topic are announced in it."""
        cache = MessageCache(5, 3, 3, 1000)
        cache.put(*made(1, "a"))
        cache.put(*made(2, "b"))
        self.assertEqual(cache.to_announce("b"), [made(2)[1]])


class BackoffsTests(SynchronousTestCase):
    def test_bounded_in_length(self) -> None:
        """No backoff is longer than an hour, whatever was asked for (GHSA-gc42-3jg7-rxr2)."""
        backoffs = Backoffs()
        for seconds in (2**64 - 1, 2**63, 10**400):
            backoffs.add("t", A, seconds, 5.0)
            self.assertEqual(backoffs.remaining("t", A, 5.0), MAX_BACKOFF_SECONDS)

    def test_never_shortened(self) -> None:
        """A later and shorter backoff does not end an earlier one."""
        backoffs = Backoffs()
        backoffs.add("t", A, 60, 0)
        backoffs.add("t", A, 10, 5)
        self.assertEqual(backoffs.remaining("t", A, 5), 55)

    def test_forgotten_after_the_slack(self) -> None:
        """It is remembered until the slack is over, for this topic and peer only."""
        backoffs = Backoffs()
        backoffs.add("t", A, 60, 0)
        backoffs.expire(60.5, 1)
        self.assertEqual(backoffs.remaining("t", A, 60.5), -0.5)
        self.assertIsNone(backoffs.remaining("u", A, 0))
        backoffs.expire(61, 1)
        self.assertIsNone(backoffs.remaining("t", A, 61))

    def test_bounded_in_number(self) -> None:
        """Beyond the limit the oldest is forgotten."""
        self.patch(backoff, "MAX_BACKOFFS", 2)
        backoffs = Backoffs()
        for peer in (A, B, C):
            backoffs.add("t", peer, 60, 0)
        self.assertEqual((len(backoffs), backoffs.remaining("t", A, 0)), (2, None))


class AuthorRatesTests(SynchronousTestCase):
    def allowed(self, rates_: AuthorRates, author, now: float) -> int:
        """How many messages of the author are taken now."""
        for taken in range(100):
            if not rates_.allows(author, now):
                return taken
            rates_.count(author, now)
        return 100

    def test_burst_and_rate(self) -> None:
        """An author may be so fast at once and so fast for long; saving up goes no further than the burst."""
        buckets = AuthorRates(5, 2)
        taken = [self.allowed(buckets, A, now) for now in (10, 10, 11, 11.5, 100)]
        self.assertEqual(taken, [5, 0, 2, 1, 5])

    def test_authors_are_apart(self) -> None:
        """What one author uses up another one still has."""
        buckets = AuthorRates(3, 1)
        self.assertEqual([self.allowed(buckets, author, 0) for author in (A, B, A)], [3, 3, 0])

    def test_full_buckets_are_forgotten(self) -> None:
        """Only those: forgetting changes nothing."""
        buckets = AuthorRates(4, 2)
        self.allowed(buckets, A, 0)
        buckets.count(B, 0)
        buckets.expire(0.5)
        self.assertEqual(len(buckets), 1)
        buckets.expire(1.9)
        self.assertEqual([len(buckets), self.allowed(buckets, A, 1.9)], [1, 3])
        buckets.expire(10)
        self.assertEqual(len(buckets), 0)

    def test_bounded(self) -> None:
        """Beyond the limit the author that has been quiet for longest is forgotten."""
        self.patch(rates, "MAX_RATED_AUTHORS", 2)
        buckets = AuthorRates(1, 1)
        for author in (A, B, A, C):
            buckets.count(author, 0)
        self.assertEqual([buckets.allows(author, 0) for author in (A, B, C)], [False, True, False])


class ScoresTests(SynchronousTestCase):
    def test_invalid_messages(self) -> None:
        """One costs the place in the mesh, three the attention, and both come back."""
        scores = Scores()
        self.assertEqual(scores.of(A), 0)
        scores.add_invalid(A)
        self.assertTrue(GRAYLIST_THRESHOLD < scores.of(A) < 0)
        scores.add_invalid(A, 2)
        self.assertLess(scores.of(A), GRAYLIST_THRESHOLD)
        for _ in range(600):
            scores.decay()
        self.assertEqual(scores.of(A), 0)

    def test_behaviour_is_forgiven_at_first(self) -> None:
        """Some oddities count nothing, many graylist."""
        scores = Scores()
        scores.add_behaviour(A, 6)
        self.assertEqual(scores.of(A), 0)
        scores.add_behaviour(A, 3)
        self.assertLess(scores.of(A), GRAYLIST_THRESHOLD)

    def test_bounded(self) -> None:
        """Beyond the limit the oldest penalties are forgotten."""
        self.patch(score, "MAX_PENALIZED_PEERS", 2)
        scores = Scores()
        for peer in (A, B, C):
            scores.add_invalid(peer)
        self.assertEqual([scores.of(peer) < 0 for peer in (A, B, C)], [False, True, True])


class PromisesTests(SynchronousTestCase):
    def test_broken_once(self) -> None:
        """Who does not send in time is named once for each message; who does, or has gone, is not."""
        promises = Promises(3)
        ids = made(1)[1]
        promises.watch(ids.js, A, 0)
        promises.watch(ids.js, B, 0)
        promises.watch(b"never", A, 0)
        promises.watch(b"never", C, 0)
        promises.fulfilled(ids)
        promises.forgive(C)
        self.assertEqual(promises.broken(2.9), [])
        self.assertEqual(promises.broken(3), [A])
        self.assertEqual((promises.broken(4), len(promises)), ([], 0))

    def test_bounded(self) -> None:
        """Beyond the limit nothing more is watched."""
        with mock.patch.object(gossip, "MAX_PROMISES", 2):
            promises = Promises(3)
            for number in range(3):
                promises.watch(bytes([number]), A, 0)
            self.assertEqual(len(promises), 2)
