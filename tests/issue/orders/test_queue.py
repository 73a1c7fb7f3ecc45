"""Who is next, and who must wait."""

from collections import Counter
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.issue.decide import Order
from nodetrust.issue.errors import Refusal
from nodetrust.issue.orders.queue import FairQueue, network_of
from nodetrust.issue.orders.turns import Turns
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.messages import E_RATE_LIMIT, ECDSA_P256

PEER = PrivateKey.generate().peer_id


class FairQueueTests(SynchronousTestCase):
    """Sources take turns."""

    def test_who_asks_for_much_starves_nobody(self) -> None:
        """With a thousand of one source before it, the first of another is the second to be served."""
        queue: FairQueue[int] = FairQueue()
        for number in range(1000):
            queue.add("greedy", number)
        queue.add("modest", 1000)
        self.assertEqual([queue.take() for _ in range(4)], [0, 1000, 1, 2])
        self.assertEqual(len(queue), 997)

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
    def test_nothing_is_lost(self, added: list[tuple[str, bool]]) -> None:
        """What was added and not discarded comes once; in order; no source is served twice in a round."""
        queue: FairQueue[int] = FairQueue()
        for number, (source, _) in enumerate(added):
            queue.add(source, number)
        for number, (source, discarded) in enumerate(added):
            if discarded:
                queue.discard(source, number)
                queue.discard(source, number)
        left = [number for number, (_, discarded) in enumerate(added) if not discarded]
        self.assertEqual(len(queue), len(left))
        taken = [queue.take() for _ in left]
        self.assertEqual(sorted(taken), left)
        self.assertRaises(KeyError, queue.take)
        served: Counter[str] = Counter()
        waiting = Counter(added[number][0] for number in left)
        for number in taken:
            source = added[number][0]
            self.assertTrue(all(served[source] <= served[other] for other in waiting if served[other] < waiting[other]))
            served[source] += 1
        for source in "abc":
            mine = [number for number in taken if added[number][0] == source]
            self.assertEqual(mine, sorted(mine))

    def test_networks(self) -> None:
        """An IPv4 address, an IPv6 /64, or the peer where it has proven none."""

        def network(*addresses: str) -> object:
            parsed = tuple(ip_address(address) for address in addresses)
            return network_of(Order(PEER, ("a",), parsed, ECDSA_P256, None, "a"))

        self.assertEqual(network("192.0.2.1", "2001:db8::1"), network("192.0.2.1"))
        self.assertNotEqual(network("192.0.2.1"), network("192.0.2.2"))
        self.assertEqual(network("2001:db8::1"), network("2001:db8::2"))
        self.assertNotEqual(network("2001:db8::1"), network("2001:db8:0:1::1"))
        self.assertEqual(network(), PEER)


class TurnsTests(SynchronousTestCase):
    """So many at a time, and never two for the same names."""

    def setUp(self) -> None:
        self.turns = Turns(2, 3)
        self.running: list[str] = []
        self.ends: dict[str, Deferred[None]] = {}

    def tearDown(self) -> None:
        """Let all have their turn: a coroutine that is thrown away ends at a time of its own."""
        while self.running:
            self.ends[self.running[0]].callback(None)

    def begin(self, label: str, network: str = "", names: str = "") -> Deferred[None]:
        async def run() -> None:
            await self.turns.enter(network or label, names or label)
            self.running.append(label)
            self.ends[label] = Deferred()
            try:
                await self.ends[label]
            finally:
                self.running.remove(label)
                self.turns.leave(names or label)

        return Deferred.fromCoroutine(run())

    def test_in_turns(self) -> None:
        """When one ends, the next network's first begins."""
        for label in ("a1", "a2", "a3", "a4", "b1"):
            self.begin(label, label[0])
        self.assertEqual(self.running, ["a1", "a2"])
        self.ends["a1"].callback(None)
        self.assertEqual(self.running, ["a2", "a3"])
        self.ends["a2"].callback(None)
        self.assertEqual(self.running, ["a3", "b1"])

    def test_too_many(self) -> None:
        """They are told to come back, and a place that becomes free can be had."""
        for label in "abc":
            self.begin(label)
        leaving, _ = self.begin("d"), self.begin("e")
        refused = self.failureResultOf(self.begin("f"), Refusal)
        self.assertEqual(refused.value.code, E_RATE_LIMIT)
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.assertNoResult(self.begin("g"))
        for label in "abceg":
            self.ends[label].callback(None)
        self.assertEqual(self.running, [])

    def test_the_same_names(self) -> None:
        """They wait for each other and take no turn from others meanwhile; who leaves or fails lets the next in."""
        first = self.begin("a", names="same")
        second, third = self.begin("b", names="same"), self.begin("c", names="same")
        self.begin("d")
        self.assertEqual(self.running, ["a", "d"])
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.ends["a"].errback(ValueError())
        self.failureResultOf(first, ValueError)
        self.assertEqual(self.running, ["d", "c"])
        self.ends["c"].callback(None)
        self.successResultOf(third)
        self.begin("e", names="same")
        self.assertEqual(self.running, ["d", "e"])
