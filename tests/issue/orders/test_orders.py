"""Orders: several CAs, pauses, lives that end in the middle, and what is left of an order."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults

from nodetrust.acme import (
    AcmeMisbehaved,
    AcmeOrderLost,
    AcmeRateLimited,
    AcmeRefused,
    AcmeUnreachable,
    AcmeValidationFailed,
    ari_id,
)
from nodetrust.challenges.errors import DnsServerError
from nodetrust.issue.errors import Refusal, Unavailable
from nodetrust.issue.orders import Orders
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.messages import E_OTHER, E_RATE_LIMIT
from nodetrust.store import StoreError
from tests.issue.orders.support import FIRST, LIFE, SECOND, OrdersTestCase, Peer

DAY = 86400.0


def down() -> Exception:
    """A CA that is not there."""
    return AcmeUnreachable("nobody listens")


class AuthoritiesTests(OrdersTestCase):
    """Several CAs, in order of preference."""

    async def refused(self, orders: Orders, peer: Peer) -> Refusal:
        with self.assertRaises(Refusal) as caught:
            await orders.fulfil(peer.order())
        return caught.exception

    async def test_the_first_is_preferred(self) -> None:
        """The others are not spoken to."""
        orders = await self.opened()
        await orders.fulfil(Peer().order())
        self.assertEqual((len(self.first.orders), self.second.asked), (1, []))

    async def test_one_that_is_down(self) -> None:
        """The next one signs, in the same request; the first is left alone for a minute, then ten, then it is back."""
        orders = await self.opened()
        self.first.script["directory"] = down
        for pause, asked in ((60, 1), (600, 2), (6000, 3)):
            for _ in range(3):
                await orders.fulfil(Peer().order())
            self.assertEqual(len(self.first.asked), asked)
            self.clock.ahead += pause - 5
            await orders.fulfil(Peer().order())
            self.assertEqual(len(self.first.asked), asked)
            self.clock.ahead += 6
        self.assertEqual(len(self.second.orders), 12)
        del self.first.script["directory"]
        for _ in range(2):
            await orders.fulfil(Peer().order())
        self.assertEqual((len(self.first.orders), len(self.second.orders)), (2, 12))
        self.assertIsNone(await self.store.trouble(FIRST))

    async def test_a_pause_outlives_a_restart(self) -> None:
        """The next life knows it, and how many failures there were."""
        orders = await self.opened()
        self.first.script["directory"] = down
        await orders.fulfil(Peer().order())
        await self.end(orders, self.store)
        orders = await self.opened()
        await orders.fulfil(Peer().order())
        self.assertEqual(len(self.first.asked), 1)
        self.clock.ahead += 61
        await orders.fulfil(Peer().order())
        self.clock.ahead += 61
        await orders.fulfil(Peer().order())
        self.assertEqual(len(self.first.asked), 2)

    async def test_all_are_in_a_pause(self) -> None:
        """Told at once, with the time of the first that may be asked again; none is asked."""
        orders = await self.opened()
        self.first.script["directory"] = self.second.script["directory"] = down
        peer = Peer()
        first = await self.refused(orders, peer)
        self.assertEqual(first.code, E_OTHER)
        self.assertEqual(str(first).count("nobody listens"), 2)
        for _ in range(20):
            again = await self.refused(orders, peer)
            self.assertEqual(again.code, E_RATE_LIMIT)
            self.assertApproximates(again.retry_after_seconds or 0, 60, 5)
            self.assertIn("first.example", str(again))
        self.assertEqual(self.first.asked + self.second.asked, ["directory"] * 2)

    async def test_a_month_without_a_ca(self) -> None:
        """However often a peer asks, the CA is asked four times on the first day, and then once a day."""
        orders = await self.opened(self.first)
        self.first.script["directory"] = down
        peer = Peer()
        for _ in range(30 * 24):
            await self.refused(orders, peer)
            self.clock.ahead += 3600
        self.assertLess(len(self.first.asked), 36)
        del self.first.script["directory"]
        self.clock.ahead += DAY
        await orders.fulfil(peer.order())

    async def test_many_fail_together(self) -> None:
        """A hundred orders that run when the CA goes away are one failure."""
        orders = await self.opened(self.first)
        gates: list[Deferred[None]] = []
        self.first.script["directory"] = lambda: gates.append(Deferred()) or gates[-1]
        asking = [self.ask(orders, Peer().order()) for _ in range(100)]
        while len(gates) < 100:
            await self.turn()
        for gate in gates:
            gate.errback(down())
        for one in asking:
            with self.assertRaises(Refusal):
                await one
        trouble = await self.store.trouble(FIRST)
        assert trouble is not None
        self.assertEqual(trouble.failures, 1)

    async def test_after_a_pause_one_goes_first(self) -> None:
        """Whoever comes while it is on its way is told to come back."""
        orders = await self.opened(self.first)
        self.first.script["directory"] = down
        await self.refused(orders, Peer())
        self.clock.ahead += 61
        gate: Deferred[None] = Deferred()
        self.first.script["directory"] = lambda: gate
        probe = self.ask(orders, Peer().order())
        while len(self.first.asked) < 2:
            await self.turn()
        self.assertEqual((await self.refused(orders, Peer())).code, E_RATE_LIMIT)
        self.assertEqual(len(self.first.asked), 2)
        gate.callback(None)
        await probe
        await orders.fulfil(Peer().order())

    async def test_a_rate_limit(self) -> None:
        """The CA's own word on when to come back, if that is longer."""
        orders = await self.opened(self.first)
        self.first.script["new_order"] = lambda: AcmeRateLimited("too many new orders", retry_after_seconds=4000)
        refusal = await self.refused(orders, Peer())
        self.assertEqual(refusal.code, E_RATE_LIMIT)
        self.assertApproximates(refusal.retry_after_seconds or 0, 4000, 5)
        self.clock.ahead += 3990
        self.assertEqual((await self.refused(orders, Peer())).code, E_RATE_LIMIT)
        self.assertEqual(self.first.asked.count("new_order"), 1)

    async def test_a_rate_limit_of_these_names(self) -> None:
        """It stops nobody else."""
        orders = await self.opened(self.first)
        text = "too many certificates (5) already issued for this exact set of identifiers in the last 168h"
        self.first.script["new_order"] = lambda: AcmeRateLimited(text, retry_after_seconds=4000)
        peer = Peer()
        await self.refused(orders, peer)
        del self.first.script["new_order"]
        await orders.fulfil(Peer().order())
        again = await self.refused(orders, peer)
        self.assertApproximates(again.retry_after_seconds or 0, 4000, 5)

    async def test_what_is_the_requests_fault(self) -> None:
        """Another CA may be asked, the same one is not at once; others are served, and the peer's share is kept."""
        for error in (
            AcmeValidationFailed("no such record", kind="dns"),
            AcmeRefused("not signed here", kind="rejectedIdentifier"),
        ):
            orders = await self.opened(orders_per_peer=1)
            self.first.script["validate"] = self.second.script["validate"] = lambda error=error: error
            peer = Peer()
            asked = len(self.first.orders)
            refusal = await self.refused(orders, peer)
            self.assertEqual((refusal.code, str(refusal).count(str(error))), (E_OTHER, 2))
            self.assertApproximates(refusal.retry_after_seconds or 0, 60, 5)
            for _ in range(3):
                await self.refused(orders, peer)
            self.assertEqual(len(self.first.orders), asked + 1)
            self.first.script.clear()
            self.second.script.clear()
            await orders.fulfil(Peer().order())
            self.assertEqual(self.dns.published, set())
            await self.end(orders, self.store)

    async def test_out_of_quota(self) -> None:
        """A CA's: the next one signs, and when all are, it is E_RATE_LIMIT. A peer's: at once, nobody is asked."""
        orders = await self.opened(ca_orders_per_3_hours=1, renewal_share=0)
        for _ in range(2):
            await orders.fulfil(Peer().order())
        self.assertEqual((len(self.first.orders), len(self.second.orders)), (1, 1))
        refusal = await self.refused(orders, Peer())
        self.assertEqual(refusal.code, E_RATE_LIMIT)
        self.assertGreaterEqual(refusal.retry_after_seconds or 0, 10_000)
        self.assertEqual((len(self.first.orders), len(self.second.orders)), (1, 1))
        await self.end(orders, self.store)
        orders = await self.opened(orders_per_peer=1)
        peer = Peer()
        await orders.fulfil(peer.order())
        peer.new_key()
        asked = len(self.first.orders)
        refusal = await self.refused(orders, peer)
        self.assertEqual((refusal.code, isinstance(refusal, Unavailable)), (E_RATE_LIMIT, False))
        self.assertEqual(len(self.first.orders), asked)

    async def test_a_dns_server_that_is_down(self) -> None:
        """Nothing is ordered, and no CA is blamed."""
        orders = await self.opened()
        self.dns.failure = DnsServerError("the DNS server is down")
        self.assertIn("DNS server", str(await self.refused(orders, Peer())))
        self.assertEqual(self.first.asked, [])
        self.dns.failure = None
        await orders.fulfil(Peer().order())


class LivesTests(OrdersTestCase):
    """An order is gone on with, in this life and the next."""

    async def killed(self, orders: Orders, peer: Peer, step: str, *, with_csr: bool = True) -> Orders:
        """The life ends when the CA has got to this step; the next one."""
        never: Deferred[None] = Deferred()
        self.first.script[step] = lambda: never
        self.first.asked.clear()
        asking = self.ask(orders, peer.order(with_csr=with_csr))
        while step not in self.first.asked:
            await self.turn()
        store, self.store._database = self.store._database, _Gone()  # type: ignore[assignment]
        dns, self.dns.published = self.dns.published, set(self.dns.published)
        await orders.give_up()
        self.dns.published = dns  # as they were when it was killed
        with self.assertRaises(Refusal):
            await asking
        await store.close()
        del self.first.script[step]
        return await self.opened(self.first)

    async def test_at_every_step(self) -> None:
        """The next life finishes it by itself, or when the peer asks; the CA sees one order, nothing is left."""
        orders = await self.opened(self.first)
        for step in ("new_order", "ordered", "complete", "validate", "download"):
            peer = Peer()
            before = len(self.first.orders)
            orders = await self.killed(orders, peer, step)
            response = await orders.fulfil(peer.order())
            self.assertEqual(sorted(response.altnames), sorted(peer.names), step)
            self.assertEqual((len(self.first.orders) - before, self.dns.published), (1, set()), step)
            while await self.store._database.read(_count_orders):
                await self.turn()

    async def test_a_key_that_is_lost(self) -> None:
        """A client of 2018: its order goes on with another key; one that was finalized is given up for a new one."""
        orders = await self.opened(self.first)
        for step, orders_in_all in (("validate", 1), ("download", 2)):
            peer = Peer()
            before = len(self.first.orders)
            orders = await self.killed(orders, peer, step, with_csr=False)
            self.assertEqual(self.dns.published, set())
            if step == "download":
                lost = iter([AcmeOrderLost("finalized before, with another key")])
                self.first.script["complete"] = lambda lost=lost: next(lost, None)
            response = await orders.fulfil(peer.order(with_csr=False))
            self.assertTrue(response.key)
            self.assertEqual(len(self.first.orders) - before, orders_in_all)

    async def test_the_ca_goes_away(self) -> None:
        """With no other CA the order waits, and is gone on with when the pause is over: nothing is ordered twice."""
        orders = await self.opened(self.first)
        for step, error in (("validate", down()), ("download", AcmeMisbehaved("HTML")), ("ordered", down())):
            before = len(self.first.orders)
            self.first.script[step] = lambda error=error: error
            peer = Peer()
            for _ in range(3):
                with self.assertRaises(Refusal) as caught:
                    await orders.fulfil(peer.order())
                self.assertApproximates(caught.exception.retry_after_seconds or 0, 60, 5)
            del self.first.script[step]
            self.clock.ahead += 61
            response = await orders.fulfil(peer.order())
            self.assertFalse(response.fromCache)
            self.assertEqual(len(self.first.orders) - before, 1, step)

    async def test_nobody_asks_again(self) -> None:
        """An order that waits is finished by itself; after a day it is given up."""
        orders = await self.opened(self.first)
        finished, given_up = Peer(), Peer()
        self.first.script["validate"] = down
        for peer, wait in ((finished, 61), (given_up, 2 * DAY)):
            with self.assertRaises(Refusal):
                await orders.fulfil(peer.order())
            self.clock.ahead += wait
            if peer is finished:
                del self.first.script["validate"]
            await orders._upkeep._look()
            while await self.store._database.read(_count_orders):
                await self.turn()
            self.first.script["validate"] = down
        self.assertIsNotNone(await self.store.newest_of_peer(finished.peer_id.multihash))
        self.assertIsNone(await self.store.newest_of_peer(given_up.peer_id.multihash))

    async def test_it_goes_away_and_there_is_another(self) -> None:
        """Then that one signs, and the order of the first is given up."""
        orders = await self.opened()
        self.first.script["validate"] = down
        await orders.fulfil(Peer().order())
        self.assertEqual((len(self.first.orders), len(self.second.orders)), (1, 1))

    async def test_the_other_comes_back_first(self) -> None:
        """An order that waits for a CA is given up for another one that can be asked, when somebody asks."""
        orders = await self.opened()
        self.second.script["directory"] = down
        self.first.script["directory"] = down
        with self.assertRaises(Refusal):
            await orders.fulfil(Peer().order())
        self.clock.ahead += 61
        del self.first.script["directory"]
        self.first.script["validate"] = down
        peer = Peer()
        with self.assertRaises(Refusal):
            await orders.fulfil(peer.order())  # the first: ten minutes, the second: another ten
        self.clock.ahead += 300
        await self.store.forget_trouble(SECOND)
        await orders._upkeep._look()
        del self.second.script["directory"]
        await orders.fulfil(peer.order())
        self.assertEqual((len(self.first.orders), len(self.second.orders)), (1, 1))
        self.assertEqual(self.dns.published, set())

    async def test_a_dns_server_that_fails_meanwhile(self) -> None:
        """The order is gone on with ten seconds later; the CA is not blamed."""
        orders = await self.opened()
        self.first.script["complete"] = lambda: setattr(self.dns, "failure", DnsServerError("it is down"))
        peer = Peer()
        for _ in range(3):
            with self.assertRaises(Unavailable) as caught:
                await orders.fulfil(peer.order())
            self.assertIn("it is down", str(caught.exception))
            self.first.script.clear()
            self.dns.failure = None
        self.clock.ahead += 11
        await orders.fulfil(peer.order())
        self.assertEqual((len(self.first.orders), self.second.asked), (1, []))

    async def test_a_key_that_is_refused(self) -> None:
        """The peer's own fault: no other CA is troubled with it."""
        orders = await self.opened()
        self.first.script["download"] = lambda: AcmeRefused("a key that everybody knows", kind="badCSR")
        with self.assertRaises(Refusal):
            await orders.fulfil(Peer().order())
        self.assertEqual((len(self.first.orders), self.second.asked), (1, []))
        del self.first.script["download"]
        await orders.fulfil(Peer().order())

    async def test_another_server_works_on_it(self) -> None:
        """What it makes of an order is waited for, and comes from the store; if it dies, its order is gone on with."""
        ours = await self.opened(self.first)
        self.server = PrivateKey.generate().peer_id
        theirs = await self.opened(self.first)
        gate: Deferred[None] = Deferred()
        self.first.script["download"] = lambda: gate
        peer = Peer()
        first = self.ask(theirs, peer.order())
        while "download" not in self.first.asked:
            await self.turn()
        second = self.ask(ours, peer.order())
        while not ours._turns._names:
            await self.turn()
        del self.first.script["download"]
        gate.callback(None)
        made, found = await first, await second
        self.assertEqual((made.chain, made.fromCache, found.fromCache), (found.chain, False, True))
        self.assertEqual(len(self.first.orders), 1)

    async def test_an_order_that_the_ca_lost(self) -> None:
        """It is placed again, a few times."""
        orders = await self.opened(self.first)
        self.first.script["complete"] = lambda: AcmeOrderLost("never heard of it")
        with self.assertRaises(Refusal):
            await orders.fulfil(Peer().order())
        self.assertEqual(len(self.first.orders), 3)

    async def test_ended_lately(self) -> None:
        """To the CA, a certificate for the names of one that has ended is a renewal for a while: it is not counted."""
        orders = await self.opened(self.first, ca_certificates_per_week=1, renewal_share=0)
        peer = Peer()
        await orders.fulfil(peer.order())
        self.clock.ahead += 100 * DAY
        await orders.fulfil(Peer().order())
        with self.assertRaises(Refusal):
            await orders.fulfil(Peer().order())
        await orders.fulfil(peer.order())
        replaced = [replaces for _, replaces, _ in self.first.orders.values()]
        self.assertEqual(replaced, [None, None, None])

    async def test_what_a_renewal_replaces(self) -> None:
        """The current certificate for the same names from the same CA; not one that has ended."""
        orders = await self.opened(self.first)
        peer = Peer()
        await orders.fulfil(peer.order())
        [first] = [await self.store.newest_of_peer(peer.peer_id.multihash)]
        assert first is not None
        self.clock.ahead += LIFE.total_seconds() * 0.7
        await orders.fulfil(peer.order())
        self.clock.ahead += LIFE.total_seconds() * 1.1
        await orders.fulfil(peer.order())
        replaced = [replaces for _, replaces, _ in self.first.orders.values()]
        self.assertEqual(replaced, [None, ari_id(first.certificate_pem), None])

    async def test_another_process_with_our_key(self) -> None:
        """The older one orders no more, and says so."""
        older = await self.opened(self.first)
        await self.opened(self.first)
        await older._upkeep._beat()
        with self.assertRaises(Unavailable) as caught:
            await older.fulfil(Peer().order())
        self.assertIn("another process", str(caught.exception))


class QueueTests(OrdersTestCase):
    """Who waits."""

    async def test_all_at_once(self) -> None:
        """Two hundred peers, ten at a time: all get their certificates."""
        orders = await self.opened(self.first, max_open_orders=10)
        await gatherResults([self.ask(orders, Peer().order()) for _ in range(200)])
        self.assertEqual(len(self.first.orders), 200)

    async def test_who_leaves(self) -> None:
        """An order that waits is not placed when nobody wants it any more; one that another wants is."""
        orders = await self.opened(self.first, max_open_orders=1, max_waiting_orders=2)
        gate: Deferred[None] = Deferred()
        self.first.script["new_order"] = lambda: gate
        running = self.ask(orders, Peer().order())
        left, shared = Peer().order(), Peer().order()
        leaving = [self.ask(orders, left), self.ask(orders, shared)]
        staying = self.ask(orders, shared)
        while "new_order" not in self.first.asked:
            await self.turn()
        with self.assertRaises(Refusal) as caught:
            await orders.fulfil(Peer().order())
        self.assertEqual(caught.exception.code, E_RATE_LIMIT)
        for one in leaving:
            one.cancel()
            with self.assertRaises(CancelledError):
                await one
        del self.first.script["new_order"]
        gate.callback(None)
        await gatherResults([running, staying])
        self.assertEqual(len(self.first.orders), 2)


def _count_orders(connection: Any) -> int:
    return int(connection.exec_driver_sql("SELECT count(*) FROM orders").scalar())


class _Gone:
    """In place of a database, after a kill: nothing is written any more."""

    async def read(self, question: Any) -> Any:
        raise StoreError("gone")

    write = read

    async def close(self) -> None:
        """Nothing is open."""
