"""Discovery: the table kept up to date, and those who watch it."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.discovery import Discovery, Wanted, encode_announcement
from nodetrust.discovery.table import EXPIRY_SECONDS
from nodetrust.libp2p.pubsub import Verdict
from tests.discovery.test_announcement import AUTHOR, OTHER, PLACE, places
from tests.discovery.test_topic import FakePubSub, message


class DiscoveryTests(SynchronousTestCase):
    def setUp(self):
        self.clock, self.pubsub, self.told = Clock(), FakePubSub(), []
        self.begin()

    def begin(self, **rules):
        self.discovery = discovery = Discovery(self.pubsub, self.clock, Wanted(**rules))
        discovery.on_found(lambda entry: self.told.append(("found", entry.announcement.addresses)))
        discovery.on_changed(lambda entry: self.told.append(("changed", entry.announcement.addresses)))
        discovery.on_gone(lambda entry: self.told.append(("gone", entry.announcement.addresses)))
        discovery.start()

    def hear(self, payload, author=AUTHOR, seqno=1):
        """As pubsub does it: delivered only if it is accepted."""
        arrived = message(payload, author, seqno)
        verdict = self.pubsub.judge(arrived)
        if verdict is Verdict.ACCEPT:
            self.pubsub.deliver(arrived)
        return verdict

    def test_news(self):
        """Who comes, moves and goes is told, each once, and `peers` has who is there."""
        home, away = (tuple(address.with_peer_id(AUTHOR) for address in one) for one in ([PLACE], places(1)))
        self.hear(encode_announcement([PLACE]), seqno=1)
        self.hear(encode_announcement([PLACE]), seqno=2)
        self.hear(encode_announcement(places(1)), seqno=3)
        self.assertEqual([entry.count for entry in self.discovery.peers()], [3])
        self.assertEqual(self.discovery.get(AUTHOR).announcement.addresses, away)
        self.clock.pump([1.0] * (int(EXPIRY_SECONDS) + 1))
        self.assertEqual(self.told, [("found", home), ("changed", away), ("gone", away)])
        self.assertEqual(self.discovery.peers(), [])

    def test_the_oldest_first(self):
        """`peers` begins with those who have been announced for longest."""
        for author in (OTHER, AUTHOR):
            self.hear(encode_announcement([PLACE]), author)
            self.clock.advance(1)
        self.hear(encode_announcement([PLACE]), OTHER, seqno=2)
        self.assertEqual([entry.announcement.author for entry in self.discovery.peers()], [OTHER, AUTHOR])

    def test_where_a_peer_is(self):
        """Others' word of a peer counts only while it has none of its own: they may be lying."""
        away = [address.with_peer_id(AUTHOR) for address in places(3)]
        self.hear(encode_announcement(away, AUTHOR), OTHER)
        self.assertEqual(self.discovery.addresses_of(AUTHOR), away)
        self.hear(encode_announcement([PLACE]))
        self.assertEqual(self.discovery.addresses_of(AUTHOR), [PLACE.with_peer_id(AUTHOR)])
        self.assertEqual(self.discovery.addresses_of(OTHER), [])

    def test_verdicts(self):
        """What is none is rejected; what is repeated, or of no use here, is ignored: nobody is at fault."""
        self.assertEqual(self.hear(b"\xff"), Verdict.REJECT)
        self.assertEqual(self.hear(encode_announcement([PLACE.with_peer_id(OTHER)])), Verdict.REJECT)
        self.assertEqual(self.hear(encode_announcement([PLACE])), Verdict.ACCEPT)
        self.assertEqual(self.hear(encode_announcement([PLACE])), Verdict.IGNORE)
        self.begin(zones=frozenset({"nt.example.org"}), allow_private=False)
        self.assertEqual(self.hear(encode_announcement([PLACE])), Verdict.ACCEPT)
        self.assertEqual(self.hear(encode_announcement(places(1)), seqno=2), Verdict.IGNORE)
        self.assertEqual([len(entry.announcement.addresses) for entry in self.discovery.peers()], [1])

    def test_repeated_messages(self):
        """Only a higher number than the last of its author counts, also when the peer was gone in the meantime."""
        self.hear(encode_announcement([PLACE]), seqno=10)
        for number in (10, 9, 0):
            self.assertEqual(self.hear(encode_announcement(places(1)), seqno=number), Verdict.IGNORE)
        self.clock.pump([1.0] * (int(EXPIRY_SECONDS) + 1))
        self.assertEqual(self.hear(encode_announcement([PLACE]), seqno=10), Verdict.IGNORE)
        self.assertEqual(self.discovery.peers(), [])
        self.assertEqual(self.hear(encode_announcement([PLACE]), seqno=11), Verdict.ACCEPT)

    def test_an_observer_that_fails(self):
        """It is logged as a bug, and the others are told."""
        self.discovery.on_found(lambda entry: 1 / 0)
        self.discovery.on_found(lambda entry: self.told.append("too"))
        self.hear(encode_announcement([PLACE]))
        self.assertEqual(self.told[-1], "too")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_the_end(self):
        """After `stop` the topic is left and the clock has nothing of ours; stopping twice is no harm."""
        self.discovery.stop()
        self.discovery.stop()
        self.assertEqual((self.pubsub.topic, self.clock.getDelayedCalls()), (None, []))

    def test_a_clock_that_is_set(self):
        """Where the reactor has a clock that nobody sets, that one says who is gone."""
        self.clock.monotonic = lambda: 0.0
        self.begin()
        self.hear(encode_announcement([PLACE]))
        self.clock.advance(10 * EXPIRY_SECONDS)
        self.assertEqual(len(self.discovery.peers()), 1)
