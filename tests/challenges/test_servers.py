"""Telling the DNS servers: all at once, as many as are needed, and again until those that were down have heard."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.challenges.errors import DnsServerError
from nodetrust.challenges.server import REACH_SECONDS
from nodetrust.challenges.servers import LOOK_SECONDS, PUBLISH_SECONDS, STOP_SECONDS, WITHDRAW_SECONDS, DnsServers
from nodetrust.challenges.streams import KEEP_SECONDS
from nodetrust.libp2p.errors import DialError, StreamReset, Timeout
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import DNS01_PROTOCOL, E_NOT_AUTHORIZED, OK, DNS01Request, DNS01Response

ONE, TWO = (PrivateKey.from_seed(bytes([number] * 32)).peer_id for number in (1, 2))
CHALLENGES = [("ip41-2-3-4.nt.example.org", "v" * 43), ("pabc.nt.example.org", "w" * 43)]
SET = [(*challenge, False) for challenge in CHALLENGES]
REMOVE = [(*challenge, True) for challenge in CHALLENGES]


class FakeStream:
    """One stream to a DNS server; each `read` waits for the test."""

    def __init__(self, lazy):
        self.lazy = lazy
        self.requests, self.reads = [], []
        self.closed = self.ended = self.has_unread = False

    def write(self, message):
        request = DNS01Request.FromString(message)
        self.requests.append((request.fqdn, request.value, request.remove))

    async def read(self):
        self.reads.append(Deferred())
        return await self.reads[-1]

    @property
    def is_asked(self):
        """Whether it owes an answer."""
        return bool(self.reads) and not self.reads[-1].called

    def answer(self, error=OK, message=None, times=1):
        for _ in range(times):
            self.reads[-1].callback(DNS01Response(error=error, message=message).SerializeToString())

    def close(self):
        self.closed = True


class FakeConnection:
    aborted = False

    def abort(self):
        self.aborted = True


class FakeHost:
    """Reaches those of its servers that are up; `streams` has all streams to each. `hanging` ones are never reached."""

    def __init__(self, *up):
        self.up = set(up)
        self.hanging = set()
        self.streams = {ONE: [], TWO: []}
        self.connection = FakeConnection()

    def connections(self, peer):
        return [self.connection]

    async def connect(self, addresses, peer):
        if peer in self.hanging:
            await Deferred()
        if peer not in self.up:
            raise DialError("connection refused")

    async def open_messages(self, peer, protocols, max_bytes, timeout, *, lazy):
        assert list(protocols) == [DNS01_PROTOCOL]
        self.streams[peer].append(FakeStream(lazy))
        return self.streams[peer][-1]


class Case(SynchronousTestCase):
    def open(self, *up, confirmations=0):
        self.clock = Clock()
        self.host = FakeHost(*up)
        place = Multiaddr.parse("/ip4/192.0.2.1/tcp/1")
        addresses = [place.with_peer_id(peer) for peer in (ONE, TWO)]
        self.servers = DnsServers(self.clock, self.host, addresses, confirmations)

    def publish(self, challenges=CHALLENGES):
        return Deferred.fromCoroutine(self.servers.publish(challenges))

    def withdraw(self, challenges=CHALLENGES):
        return Deferred.fromCoroutine(self.servers.withdraw(challenges))

    def last(self, peer):
        return self.host.streams[peer][-1]

    def published(self):
        """Both servers have all challenges."""
        done = self.publish()
        for peer in (ONE, TWO):
            self.last(peer).answer(times=2)
            self.last(peer).requests.clear()
        self.assertIsNone(self.successResultOf(done))

    def go_down(self, peer):
        """It is gone, and with it every stream to it."""
        self.host.up.discard(peer)
        for stream in self.host.streams[peer]:
            stream.ended = True


class PublishTests(Case):
    def test_all_at_once(self):
        """Every server has all challenges before any has answered; it is done when all have said OK to all."""
        self.open(ONE, TWO)
        done = self.publish()
        for peer in (ONE, TWO):
            self.assertEqual(self.last(peer).requests, SET)
        for peer in (ONE, TWO):
            self.assertNoResult(done)
            self.last(peer).answer(times=2)
        self.assertIsNone(self.successResultOf(done))

    def test_streams_are_kept(self):
        """What comes soon goes over the stream that there is; one that nobody needs is closed."""
        self.open(ONE, TWO)
        self.published()
        done = self.withdraw()
        self.assertEqual(self.last(ONE).requests, REMOVE)
        for peer in (ONE, TWO):
            self.last(peer).answer(times=2)
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(len(self.host.streams[ONE]), 1)
        self.clock.advance(KEEP_SECONDS)
        self.assertTrue(self.last(ONE).closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.publish()
        self.assertEqual(len(self.host.streams[ONE]), 2)

    def test_kept_streams_that_are_of_no_use(self):
        """One that the server has ended meanwhile, or on which it said more than it was asked, is not written to."""
        for broken in ("ended", "has_unread"):
            self.open(ONE, TWO)
            self.published()
            setattr(self.last(ONE), broken, True)
            self.withdraw()
            self.assertEqual(self.host.streams[ONE][0].requests, [])
            self.assertTrue(self.host.streams[ONE][0].closed)
            self.assertEqual(self.last(ONE).requests, REMOVE)

    def test_who_waits_for_the_protocol(self):
        """Only who has nothing to tell opens a stream to hear whether the server speaks it."""
        self.open(ONE, TWO)
        self.published()
        self.servers.start()
        self.assertEqual([stream.lazy for stream in self.host.streams[ONE]], [True, False])

    def test_nothing_to_publish(self):
        """An order whose authorizations are all valid has no challenge."""
        self.open(ONE, TWO)
        self.assertIsNone(self.successResultOf(self.publish([])))
        self.assertIsNone(self.successResultOf(self.withdraw([])))

    def test_the_same_twice(self):
        """It is told once."""
        self.open(ONE, TWO)
        done = self.publish([*CHALLENGES, *CHALLENGES])
        for peer in (ONE, TWO):
            self.assertEqual(self.last(peer).requests, SET)
            self.last(peer).answer(times=2)
        self.assertIsNone(self.successResultOf(done))

    def test_a_server_that_refuses(self):
        """It fails at once; the error names the server, the name and the server's reason."""
        self.open(ONE, TWO)
        done = self.publish()
        self.last(ONE).answer(E_NOT_AUTHORIZED, "not an admin")
        error = str(self.failureResultOf(done, DnsServerError).value)
        for part in (str(ONE), CHALLENGES[0][0], "not an admin"):
            self.assertIn(part, error)

    def test_as_many_as_are_needed(self):
        """It is done with the first that has confirmed all; the other one is told all the same."""
        self.open(ONE, TWO, confirmations=1)
        done = self.publish()
        self.last(ONE).answer()
        self.last(TWO).answer(E_NOT_AUTHORIZED)
        self.assertNoResult(done)
        self.last(ONE).answer()
        self.assertIsNone(self.successResultOf(done))
        self.last(TWO).answer()
        self.clock.advance(1)
        self.assertEqual(self.last(TWO).requests, [*SET, SET[0]])
        self.assertTrue(self.servers.owes(CHALLENGES))

    def test_a_server_that_comes_back(self):
        """An order waits for it, and goes on when it has heard."""
        self.open(ONE)
        done = self.publish()
        self.last(ONE).answer(times=2)
        self.clock.pump([1.0] * 20)
        self.assertNoResult(done)
        self.host.up.add(TWO)
        self.clock.pump([1.0] * 4)
        self.last(TWO).answer(times=2)
        self.assertIsNone(self.successResultOf(done))

    def test_a_server_that_does_not_come_back(self):
        """The order fails in the end, with the server's name and what was wrong."""
        self.open(ONE)
        done = self.publish()
        self.clock.advance(PUBLISH_SECONDS)
        error = str(self.failureResultOf(done, DnsServerError).value)
        self.assertIn(f"{TWO} could not be reached: connection refused", error)
        self.assertNotIn(str(ONE), error)

    def test_a_server_that_hangs(self):
        """Connections on which nothing comes are dropped, and it is dialled anew."""
        self.open(ONE)
        self.host.hanging.add(TWO)
        done = self.publish()
        self.last(ONE).answer(times=2)
        self.clock.advance(REACH_SECONDS)
        self.assertTrue(self.host.connection.aborted)
        self.assertIn(str(TWO), self.servers.states[1].trouble)
        self.host.up.add(TWO)
        self.host.hanging.clear()
        self.clock.advance(1)
        self.last(TWO).answer(times=2)
        self.assertIsNone(self.successResultOf(done))

    def test_half_an_answer(self):
        """What was not confirmed is sent again, whether the server fell silent, talks nonsense, or is gone."""
        for end in (Timeout("no message"), StreamReset("reset"), b"\xff"):
            self.open(ONE, TWO, confirmations=2)
            done = self.publish()
            self.last(TWO).answer(times=2)
            self.last(ONE).answer()
            read = self.last(ONE).reads[-1]
            (read.callback if isinstance(end, bytes) else read.errback)(end)
            self.assertEqual(self.host.connection.aborted, isinstance(end, Timeout))
            self.assertTrue(self.last(ONE).closed)
            self.assertIn(f"{ONE} did not answer", self.servers.states[0].trouble)
            self.clock.advance(1)
            self.assertEqual(self.last(ONE).requests, SET[1:])
            self.last(ONE).answer()
            self.assertIsNone(self.successResultOf(done))

    def test_known_to_be_out_of_reach(self):
        """No order need be opened while too few servers answer; a refusal is an answer."""
        for confirmations, may_order in ((0, False), (1, True)):
            self.open(ONE, confirmations=confirmations)
            self.servers.check()
            self.servers.start()
            self.assertEqual([state.answers for state in self.servers.states], [True, False])
            if may_order:
                self.servers.check()
            else:
                self.assertRaises(DnsServerError, self.servers.check)
            self.host.up.add(TWO)
            self.clock.advance(LOOK_SECONDS)
            self.servers.check()
            done = self.publish()
            self.last(TWO).answer(E_NOT_AUTHORIZED)
            self.servers.check()
            done.addErrback(lambda failure: failure.trap(DnsServerError))
            self.last(ONE).answer(times=2)

    def test_an_hour_without_a_network(self):
        """Seconds after it is back orders are possible again, and what was owed is told, without any order asking."""
        self.open(ONE, TWO)
        self.servers.start()
        self.published()
        for peer in (ONE, TWO):
            self.go_down(peer)
        self.withdraw()
        self.clock.pump([1.0] * 3500)
        self.assertRaises(DnsServerError, self.servers.check)
        self.host.up.update((ONE, TWO))
        self.clock.pump([1.0] * 6)
        self.servers.check()
        for peer in (ONE, TWO):
            self.assertEqual(self.last(peer).requests, REMOVE)
            self.last(peer).answer(times=2)
        self.assertFalse(self.servers.owes(CHALLENGES))

    def test_many_orders_at_once(self):
        """They share a few streams, and all of them succeed."""
        self.open(ONE, TWO)
        orders = [self.publish([(f"ip4{number}.nt.example.org", "v" * 43)]) for number in range(200)]
        while self.servers.states[0].pending or self.servers.states[1].pending:
            for peer in (ONE, TWO):
                self.assertLessEqual(sum(not stream.closed for stream in self.host.streams[peer]), 8)
                for stream in list(self.host.streams[peer]):
                    if stream.is_asked:
                        stream.answer()
        for order in orders:
            self.assertIsNone(self.successResultOf(order))


class WithdrawTests(Case):
    def test_all_confirm(self):
        """Then nothing is owed."""
        self.open(ONE, TWO)
        self.published()
        done = self.withdraw()
        for peer in (ONE, TWO):
            self.assertEqual(self.last(peer).requests, REMOVE)
            self.last(peer).answer(times=2)
        self.assertIsNone(self.successResultOf(done))
        self.assertFalse(self.servers.owes(CHALLENGES))

    def test_a_server_that_is_down(self):
        """The caller goes on at once; the server is told when it is back."""
        self.open(ONE, TWO)
        self.published()
        self.go_down(TWO)
        done = self.withdraw()
        self.assertIsNone(self.successResultOf(done))
        self.assertTrue(self.servers.owes(CHALLENGES))
        self.host.up.add(TWO)
        self.clock.advance(1)
        self.assertEqual(self.last(TWO).requests, REMOVE)
        for peer in (ONE, TWO):
            self.last(peer).answer(times=2)
        self.assertFalse(self.servers.owes(CHALLENGES))
        self.clock.advance(KEEP_SECONDS)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_server_that_hangs(self):
        """The caller goes on soon."""
        self.open(ONE, TWO)
        self.published()
        done = self.withdraw()
        self.clock.advance(WITHDRAW_SECONDS)
        self.assertIsNone(self.successResultOf(done))

    def test_as_many_as_are_needed(self):
        """The caller goes on when so many have confirmed as a challenge needs; the other one still has to."""
        self.open(ONE, TWO, confirmations=1)
        self.publish()
        for peer in (ONE, TWO):
            self.last(peer).answer(times=2)
        done = self.withdraw()
        self.last(ONE).answer(times=2)
        self.assertIsNone(self.successResultOf(done))
        self.assertTrue(self.servers.owes(CHALLENGES))
        self.last(TWO).answer(times=2)
        self.assertFalse(self.servers.owes(CHALLENGES))

    def test_a_server_that_missed_both(self):
        """One that was down from before a challenge was set until after its order was over is told nothing of it."""
        self.open(ONE, confirmations=1)
        done = self.publish()
        self.last(ONE).answer(times=2)
        self.assertIsNone(self.successResultOf(done))
        self.clock.pump([1.0] * 5)
        self.withdraw()
        self.last(ONE).answer(times=2)
        self.host.up.add(TWO)
        self.clock.pump([1.0] * 120)
        self.assertEqual(self.host.streams[TWO], [])


class EndTests(Case):
    def test_cancelled(self):
        """An order that is given up ends at once, and its challenges can be withdrawn."""
        self.open(ONE, TWO)
        for what in (self.publish, self.withdraw):
            done = what()
            done.cancel()
            self.failureResultOf(done, CancelledError)
        for peer in (ONE, TWO):
            self.last(peer).answer(times=4)
        self.assertFalse(self.servers.owes(CHALLENGES))
        self.assertEqual([one.requests for one in self.host.streams[ONE]], [[*SET, *REMOVE]])

    def test_stop(self):
        """What is being told is given a moment; then nothing goes on."""
        for answers in (True, False):
            self.open(ONE, TWO)
            self.servers.start()
            self.published()
            self.withdraw()
            stopped = Deferred.fromCoroutine(self.servers.stop())
            self.assertNoResult(stopped)
            if answers:
                for peer in (ONE, TWO):
                    self.last(peer).answer(times=2)
            else:
                self.clock.advance(STOP_SECONDS)
            self.assertIsNone(self.successResultOf(stopped))
            self.assertTrue(self.last(ONE).closed)
            self.clock.advance(WITHDRAW_SECONDS)
            self.assertEqual(self.clock.getDelayedCalls(), [])
