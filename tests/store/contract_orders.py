"""What every store must do with orders, and with the servers that they belong to."""

from nodetrust.quotas import Exhausted
from nodetrust.store import OrderIsOpen, OrderTaken
from tests.store.examples import CA, ME, NAMES, NOW, OTHER, PEER, StoreCase, certificate, draw, later, request, there


class OrdersContract(StoreCase):
    """Orders and their owners."""

    async def test_each_step_is_kept(self) -> None:
        """What was noted last is what is found, and a settled order is not open any more."""
        store = await self.opened()
        opened = await store.open_order(request(), CA, [], b"e", NOW, replaces="aki.serial")
        self.assertEqual(
            (opened.request, opened.directory_url, opened.opened_at, opened.replaces),
            (request(), CA, NOW, "aki.serial"),
        )
        self.assertEqual((opened.order_url, opened.placing, opened.records, opened.settled), (None, False, (), False))
        self.assertEqual(await store.open_order_for(request().same), opened)

        await store.note_placing(opened.id)
        self.assertTrue(there(await store.open_order_for(request().same)).placing)
        await store.note_placed(opened.id, "https://ca.example/order/1")
        records = (("_acme-challenge.a.example", "x" * 43), ("_acme-challenge.b.example", "y" * 43))
        await store.note_records(opened.id, records)
        found = there(await store.open_order_for(request().same))
        self.assertEqual(
            (found.placing, found.order_url, found.records), (False, "https://ca.example/order/1", records)
        )

        await store.settle_order(opened.id, None, [], NOW)
        self.assertIsNone(await store.open_order_for(request().same))
        claimed = there(await store.claim_order(opened.id, b"e", NOW))
        self.assertEqual((claimed.settled, claimed.records), (True, records))
        await store.forget_order(opened.id)
        self.assertIsNone(await store.claim_order(opened.id, b"e", NOW))

    async def test_without_csr(self) -> None:
        """A request without a CSR comes back without one."""
        store = await self.opened()
        await store.open_order(request(csr_der=None), CA, [], b"e", NOW)
        self.assertIsNone(there(await store.open_order_for(request().same)).request.csr_der)

    async def test_one_open_order_for_the_same(self) -> None:
        """A second one is refused with the first one, costs nothing, and is free to open once that is settled."""
        store = await self.opened()
        first = await store.open_order(request(), CA, [draw()], b"e", NOW)
        with self.assertRaises(OrderIsOpen) as caught:
            await store.open_order(request(), "https://second.example/dir", [draw()], b"e", NOW)
        self.assertEqual(caught.exception.order, first)
        self.assertFalse(caught.exception.owned_by_living, "we may take up what is ours")
        await store.open_order(request(1), CA, [draw()], b"e", NOW)
        await store.settle_order(first.id, None, [draw()], NOW)
        again = await store.open_order(request(), CA, [draw()], b"e", NOW)
        self.assertGreater(again.id, first.id)

    async def test_no_order_without_quota(self) -> None:
        """Where a quota is used up no order is opened, and the other quotas are not touched."""
        store = await self.opened()
        await store.spend([draw("small", 1)], NOW)
        with self.assertRaises(Exhausted) as caught:
            await store.open_order(request(), CA, [draw("large"), draw("small", 1)], b"e", NOW)
        self.assertEqual(caught.exception.limit.key, "small")
        self.assertIsNone(await store.open_order_for(request().same))
        await store.spend([draw("large", cost=2)], NOW)

    async def test_settling_is_one_step(self) -> None:
        """Certificate in, quota back, order closed; and a second time changes nothing."""
        store = await self.opened()
        order = await store.open_order(request(), CA, [draw(cost=2)], b"e", NOW)
        for _ in range(2):
            await store.settle_order(order.id, certificate(), [draw()], NOW)
        self.assertEqual(len(await store.certificates_to_check(later(1), 10)), 1)
        await store.spend([draw()], NOW)
        with self.assertRaises(Exhausted):
            await store.spend([draw()], NOW)
        self.assertIsNotNone(await store.newest_certificate(PEER, NAMES, bytes(32), NOW))

    async def test_a_living_server_keeps_its_orders(self) -> None:
        """Others get an order when its owner's last beat is more than 30 seconds ago, and not before."""
        store = await self.opened()
        await store.enter(ME, b"mine", NOW)
        await store.enter(OTHER, b"theirs", NOW)
        order = await store.open_order(request(), CA, [], b"theirs", NOW)
        with self.assertRaises(OrderIsOpen) as caught:
            await store.open_order(request(), CA, [], b"mine", later(30))
        self.assertTrue(caught.exception.owned_by_living)
        self.assertIsNone(await store.claim_order(order.id, b"mine", later(30)))
        self.assertEqual(await store.claim_abandoned(b"mine", later(30), 10), [])
        self.assertTrue(await store.beat(OTHER, b"theirs", later(20)))
        self.assertIsNone(await store.claim_order(order.id, b"mine", later(50)))
        with self.assertRaises(OrderIsOpen) as caught:
            await store.open_order(request(), CA, [], b"mine", later(51))
        self.assertFalse(caught.exception.owned_by_living)
        self.assertEqual(await store.claim_order(order.id, b"mine", later(51)), order)

    async def test_abandoned_orders_are_claimed_once(self) -> None:
        """Oldest first, no more than asked for, settled ones too, and not again by the next server."""
        store = await self.opened()
        await store.enter(ME, b"mine", NOW)
        await store.enter(OTHER, b"theirs", NOW)
        orders = [await store.open_order(request(number), CA, [], b"dead", NOW) for number in range(3)]
        own = await store.open_order(request(7), CA, [], b"mine", NOW)
        await store.settle_order(orders[0].id, None, [], NOW)
        claimed = await store.claim_abandoned(b"mine", NOW, 2)
        self.assertEqual([order.id for order in claimed], [orders[0].id, orders[1].id])
        self.assertEqual([order.settled for order in claimed], [True, False])
        self.assertEqual([order.id for order in await store.claim_abandoned(b"theirs", NOW, 10)], [orders[2].id])
        self.assertEqual(await store.claim_abandoned(b"theirs", NOW, 10), [])
        self.assertEqual(await store.claim_order(own.id, b"mine", NOW), own)

    async def test_who_lost_an_order_cannot_go_on(self) -> None:
        """A server that was thought dead is told at its next step, and changes nothing."""
        store = await self.opened()
        order = await store.open_order(request(), CA, [], b"slow", NOW)
        await store.claim_order(order.id, b"mine", NOW)
        for late in (
            store.note_placing(order.id, b"slow"),
            store.note_placed(order.id, "https://ca.example/order/2", b"slow"),
            store.note_records(order.id, [("a", "b")], b"slow"),
        ):
            with self.assertRaises(OrderTaken):
                await late
        await store.note_placing(order.id, b"mine")
        found = there(await store.open_order_for(request().same))
        self.assertEqual((found.placing, found.order_url, found.records), (True, None, ()))
        await store.forget_order(order.id)
        with self.assertRaises(OrderTaken):
            await store.note_placing(order.id)

    async def test_a_late_certificate_is_kept(self) -> None:
        """Also of an order that another server has ended: the CA has counted it."""
        store = await self.opened()
        order = await store.open_order(request(), CA, [], b"e", NOW)
        await store.settle_order(order.id, None, [], NOW)
        await store.forget_order(order.id)
        await store.settle_order(order.id, certificate(), [], NOW)
        self.assertIsNotNone(await store.newest_certificate(PEER, NAMES, bytes(32), NOW))

    async def test_a_new_process_of_a_server(self) -> None:
        """The old one's orders can be had at once, and its next beat tells it that it is not the one any more."""
        store = await self.opened()
        await store.enter(ME, b"first", NOW)
        self.assertTrue(await store.beat(ME, b"first", later(1)))
        order = await store.open_order(request(), CA, [], b"first", NOW)
        await store.enter(ME, b"second", later(2))
        self.assertFalse(await store.beat(ME, b"first", later(3)))
        self.assertTrue(await store.beat(ME, b"second", later(3)))
        self.assertEqual(await store.claim_abandoned(b"second", later(3), 10), [order])

    async def test_a_server_that_leaves(self) -> None:
        """Its orders can be had at once; it does not count any more, and cannot send another one away."""
        store = await self.opened()
        self.assertEqual(await store.living_servers(NOW), 0)
        await store.enter(ME, b"mine", NOW)
        await store.enter(OTHER, b"theirs", NOW)
        self.assertEqual(await store.living_servers(later(30)), 2)
        order = await store.open_order(request(), CA, [], b"theirs", NOW)
        await store.leave(ME, b"another", NOW)
        self.assertEqual(await store.living_servers(NOW), 2)
        await store.leave(OTHER, b"theirs", NOW)
        self.assertEqual(await store.living_servers(NOW), 1)
        self.assertEqual(await store.claim_abandoned(b"mine", NOW, 10), [order])

    async def test_clock_that_jumps(self) -> None:
        """Nobody lives for ever by a beat from the future, and one beat later everybody lives again."""
        store = await self.opened()
        for days in (90, -90):
            await store.enter(OTHER, b"theirs", NOW)
            order = await store.open_order(request(), CA, [], b"theirs", NOW)
            jumped = later(days=days)
            self.assertTrue(await store.beat(OTHER, b"theirs", jumped))
            self.assertIsNone(await store.claim_order(order.id, b"mine", jumped))
            await store.enter(OTHER, b"theirs", NOW)
            self.assertIsNotNone(await store.claim_order(order.id, b"mine", jumped))
            await store.forget_order(order.id)
