"""What must hold when several stores, of one process or of two, use one database that lasts."""

from twisted.internet.defer import Deferred, gatherResults

from nodetrust.quotas import Draw, Exhausted
from nodetrust.store import OrderIsOpen, Store, StoredAccount
from tests.store.examples import CA, ME, NOW, OTHER, StoreCase, draw, later, request
from tests.store.processes import PRELUDE, output_of

ORDERS = 200

RIVAL = (
    PRELUDE
    + f"""
async def main():
    url, me, rival = sys.argv[1:]
    store = await Store.open(reactor, url)
    await store.enter(me.encode(), me.encode(), NOW)
    # Both begin at the same moment.
    await store.open_order(request(1000 + int(me)), CA, [], me.encode(), NOW)
    while await store.open_order_for(request(1000 + int(rival)).same) is None:
        pass

    async def attempt(number):
        try:
            await store.open_order(request(number), CA, [draw(amount={ORDERS})], me.encode(), NOW)
            print(number)
        except OrderIsOpen as error:
            assert error.owned_by_living

    await gatherResults([Deferred.fromCoroutine(attempt(number)) for number in range({ORDERS})])
    await store.close()

run(main())
"""
)


STARTER = (
    PRELUDE
    + """
async def main():
    store = await Store.open(reactor, sys.argv[1])
    await store.save_account(StoredAccount(sys.argv[2], b"key"))
    await store.close()

run(main())
"""
)


class SeveralContract(StoreCase):
    """Stores side by side."""

    async def test_processes_start_at_once(self) -> None:
        """On a database that is not there yet: one makes it, and all can work."""
        starting = [Deferred.fromCoroutine(output_of(STARTER, self.url, str(number))) for number in range(4)]
        await gatherResults(starting)
        store = await self.opened()
        for number in range(4):
            self.assertIsNotNone(await store.account(str(number)))

    async def test_two_processes_want_the_same(self) -> None:
        """Of two that open the same orders at once exactly one wins each, and each is paid for once."""
        store = await self.opened()
        both = [output_of(RIVAL, self.url, "1", "2"), output_of(RIVAL, self.url, "2", "1")]
        first, second = await gatherResults([Deferred.fromCoroutine(one) for one in both])
        self.assertEqual(sorted(map(int, [*first.split(), *second.split()])), list(range(ORDERS)))
        with self.assertRaises(Exhausted):
            await store.spend([draw(amount=ORDERS)], NOW)
        await store.refund([draw(amount=ORDERS)], NOW)
        await store.spend([draw(amount=ORDERS)], NOW)

    async def test_two_stores_want_the_same(self) -> None:
        """So it is with two stores in one process."""
        stores = [await self.opened(), await self.opened()]
        await stores[0].enter(ME, ME, NOW)
        await stores[1].enter(OTHER, OTHER, NOW)

        async def attempt(store: Store, epoch: bytes, number: int) -> int:
            try:
                await store.open_order(request(number), CA, [], epoch, NOW)
            except OrderIsOpen:
                return 0
            return 1

        attempts = [
            attempt(store, epoch, number)
            for number in range(50)
            for store, epoch in zip(stores, (ME, OTHER), strict=True)
        ]
        won = await gatherResults([Deferred.fromCoroutine(one) for one in attempts])
        self.assertEqual(sum(won), 50)

    async def test_two_have_one_account(self) -> None:
        """Two that make an account at the same moment have the same one."""
        stores = [await self.opened(), await self.opened()]
        made = [
            Deferred.fromCoroutine(store.first_account(StoredAccount(CA, bytes([n])))) for n, store in enumerate(stores)
        ]
        first, second = await gatherResults(made)
        self.assertEqual(first, second)

    async def test_a_proof_is_used_at_one_of_them(self) -> None:
        """Whatever the order in which two are told of the same proofs."""
        stores = [await self.opened(), await self.opened()]
        proofs = [number.to_bytes(32, "big") for number in range(60)]
        batches = [proofs[start : start + 3] for start in range(0, 60, 3)]
        uses = [
            Deferred.fromCoroutine(store.use_proofs(batch, later(60), NOW))
            for batch in batches
            for store, batch in ((stores[0], batch), (stores[1], batch[::-1]))
        ]
        used = await gatherResults(uses)
        self.assertEqual(sorted(digest for some in used for digest in some), proofs)

    async def test_quotas_are_shared(self) -> None:
        """Exactly as much can be drawn as there is, and draws in any order don't lock each other out."""
        stores = [await self.opened(), await self.opened()]
        one, two = draw("one", 20), draw("two", 1000)

        async def attempt(store: Store, draws: list[Draw]) -> int:
            try:
                await store.spend(draws, NOW)
            except Exhausted:
                return 0
            return 1

        attempts = [
            attempt(store, draws)
            for _ in range(20)
            for store, draws in zip(stores, ([one, two], [two, one]), strict=True)
        ]
        self.assertEqual(sum(await gatherResults([Deferred.fromCoroutine(attempt) for attempt in attempts])), 20)

    async def test_abandoned_orders_go_to_one_of_them(self) -> None:
        """Two servers that look for abandoned orders at the same moment share them."""
        stores = [await self.opened(), await self.opened()]
        await stores[0].enter(ME, ME, NOW)
        await stores[1].enter(OTHER, OTHER, NOW)
        orders = [await stores[0].open_order(request(number), CA, [], b"dead", NOW) for number in range(20)]
        claims = [
            Deferred.fromCoroutine(store.claim_abandoned(epoch, NOW, 3))
            for _ in range(5)
            for store, epoch in zip(stores, (ME, OTHER), strict=True)
        ]
        claimed = [order.id for some in await gatherResults(claims) for order in some]
        self.assertEqual(sorted(claimed), [order.id for order in orders])
