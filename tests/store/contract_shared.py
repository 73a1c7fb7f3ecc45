"""What every store must do with quotas, used proofs and troubles, and what it deletes."""

from nodetrust.quotas import Exhausted
from nodetrust.store import Cleared, Store, StoredTrouble
from tests.store.examples import CA, ME, NAMES, NOW, OTHER, PEER, StoreCase, certificate, draw, later, request


class SharedContract(StoreCase):
    """What servers that share a store have in common."""

    async def test_quota(self) -> None:
        """What was drawn is gone until time or a refund brings it back; all draws or none."""
        store = await self.opened()
        await store.spend([draw(cost=2), draw("peer")], NOW)
        with self.assertRaises(Exhausted) as caught:
            await store.spend([draw("peer"), draw()], NOW)
        self.assertAlmostEqual(caught.exception.retry_after_seconds, 1800, places=3)
        await store.spend([draw("peer")], NOW)
        await store.refund([draw()], NOW)
        await store.spend([draw()], NOW)
        await store.spend([draw()], later(1800))
        with self.assertRaises(Exhausted):
            await store.spend([draw()], later(1800))

    async def test_nothing_to_draw(self) -> None:
        """No draws are no fault."""
        store = await self.opened()
        await store.spend([], NOW)
        await store.refund([], NOW)

    async def test_quota_after_a_clock_that_jumped(self) -> None:
        """What was drawn in a wrong future keeps nobody waiting for longer than a period."""
        store = await self.opened()
        await store.spend([draw(cost=2)], later(days=90))
        await store.spend([draw(cost=2)], later(3601))
        with self.assertRaises(Exhausted) as caught:
            await store.spend([draw()], later(3601))
        self.assertLessEqual(caught.exception.retry_after_seconds, 3600)

    async def test_a_proof_is_used_once(self) -> None:
        """Each is told as used from the second time on, until it ends or is given back."""
        store = await self.opened()
        one, two, three = b"1" * 32, b"2" * 32, b"3" * 32
        self.assertEqual(await store.use_proofs([one, two, one], later(60), NOW), frozenset())
        self.assertEqual(await store.use_proofs([two, three], later(60), NOW), frozenset([two]))
        await store.unuse_proofs([one])
        self.assertEqual(await store.use_proofs([one, two, three], later(60), NOW), frozenset([two, three]))
        self.assertEqual(await store.use_proofs([one], later(120), later(61)), frozenset())
        self.assertEqual(await store.use_proofs([], NOW, NOW), frozenset())
        await store.unuse_proofs([])

    async def test_trouble(self) -> None:
        """The last one with a CA is found until it is forgotten."""
        store = await self.opened()
        self.assertIsNone(await store.trouble(CA))
        for failures in (1, 2):
            trouble = StoredTrouble(CA, failures, later(60), "it is down")
            await store.save_trouble(trouble)
            self.assertEqual(await store.trouble(CA), trouble)
        self.assertIsNone(await store.trouble("https://other.example/dir"))
        await store.forget_trouble(CA)
        self.assertIsNone(await store.trouble(CA))

    async def test_what_is_over_is_deleted(self) -> None:
        """After a day of a steady clock: what has ended, and nothing else."""
        store = await self.opened()
        await self._filled(store)
        await self._beat_for_a_day(store)
        cleared = await store.clear(later(days=1, seconds=2))
        self.assertEqual(cleared, Cleared(certificates=2, orders=1, proofs=1, quotas=1, servers=1))
        self.assertEqual(await store.clear(later(days=1, seconds=2)), Cleared())
        self.assertIsNotNone(await store.newest_certificate(PEER, NAMES, bytes(32), NOW))
        self.assertIsNotNone(await store.newest_for_names(PEER, ["lately.example"]))
        self.assertIsNotNone(await store.open_order_for(request(1).same))
        self.assertEqual(await store.use_proofs([b"lasts"], later(days=2), later(days=1)), frozenset([b"lasts"]))
        self.assertTrue(await store.beat(ME, b"mine", later(days=1)))
        with self.assertRaises(Exhausted):
            await store.spend([draw("empty", 1)], later(days=1, seconds=2))

    async def test_a_clock_that_jumped_deletes_nothing(self) -> None:
        """Ninety days ahead for an hour: no certificate and no quota is lost."""
        store = await self.opened()
        await self._filled(store)
        await self._beat_for_a_day(store)
        for minutes in range(0, 60, 10):
            jumped = later(days=91, seconds=60 * minutes)
            self.assertTrue(await store.beat(ME, b"mine", jumped))
            cleared = await store.clear(jumped)
            self.assertEqual((cleared.certificates, cleared.orders, cleared.quotas, cleared.servers), (0, 0, 0, 0))
        self.assertTrue(await store.beat(ME, b"mine", later(days=1)))
        self.assertIsNotNone(await store.newest_certificate(PEER, NAMES, bytes(32), NOW))
        self.assertEqual((await store.clear(later(days=1))).certificates, 0)

    async def test_a_server_that_was_cleared_lives_on(self) -> None:
        """A beat finds its place again when another server's wrong clock had it deleted."""
        store = await self.opened()
        self.assertTrue(await store.beat(ME, b"mine", NOW))
        order = await store.open_order(request(), CA, [], b"mine", NOW)
        self.assertIsNone(await store.claim_order(order.id, b"theirs", NOW))

    async def _filled(self, store: Store) -> None:
        """One of each kind that is over a day and a second later, and one that is not."""
        await store.enter(OTHER, b"theirs", later(days=-30))
        await store.enter(ME, b"mine", NOW)
        await store.save_certificate(certificate(not_after=later(1)))
        await store.save_certificate(certificate())
        for name, days in (("lately.example", 0), ("long-ago.example", 119)):
            ended = {"not_before": later(days=-days), "not_after": later(1), "certificate_pem": name.encode()}
            await store.save_certificate(certificate(names=(name,), **ended))
        await store.open_order(request(0), CA, [], b"dead", later(days=-29))
        await store.open_order(request(1), CA, [], b"dead", NOW)
        await store.use_proofs([b"ends"], later(1), NOW)
        await store.use_proofs([b"lasts"], later(days=2), NOW)
        await store.spend([draw("full")], NOW)
        await store.spend([draw("empty", 1)], later(days=1))

    async def _beat_for_a_day(self, store: Store) -> None:
        for hour in range(25):
            self.assertTrue(await store.beat(ME, b"mine", later(3600 * hour)))
