"""Changes that are made in one transaction because they waited together: each stands for itself."""

import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, text
from twisted.internet.defer import Deferred, DeferredList
from twisted.trial.unittest import TestCase

from nodetrust.quotas import Exhausted
from nodetrust.store import OrderTaken, Store, StoredAccount, StoreError
from nodetrust.store.quotas import spend
from nodetrust.store.rows import account_to_row
from nodetrust.store.schema import accounts
from nodetrust.store.tables import put
from tests.store.examples import CA, NOW, StoreCase, draw

Change = Callable[[Connection], Any]


class TogetherTests(StoreCase, TestCase):
    """Several changes while the one thread is held."""

    timeout = 120

    def setUp(self) -> None:
        self.url = f"sqlite:///{self.mktemp()}"

    async def together(self, store: Store, changes: list[Change]) -> list[Any]:
        """The outcomes: True, or the kind of error."""
        held, let_go = threading.Event(), threading.Event()

        def hold(_: Connection) -> None:
            held.set()
            let_go.wait()

        first = Deferred.fromCoroutine(store._database.write(hold))
        held.wait()
        answers = [Deferred.fromCoroutine(store._database.write(change)) for change in changes]
        let_go.set()
        await first
        outcomes: Any = await DeferredList(answers, consumeErrors=True)
        return [success or failure.type for success, failure in outcomes]

    async def test_one_says_no(self) -> None:
        """What it had written is undone, and the others' is kept."""
        store = await self.opened()

        def write_and_refuse(connection: Connection) -> None:
            save("refused")(connection)
            raise OrderTaken("not ours")

        outcomes = await self.together(store, [save("first"), write_and_refuse, save("last")])
        self.assertEqual(outcomes, [True, OrderTaken, True])
        kept = [await store.account(url) is not None for url in ("first", "refused", "last")]
        self.assertEqual(kept, [True, False, True])

    async def test_one_is_refused_by_the_database(self) -> None:
        """The others happen once each."""
        store = await self.opened()
        draws: list[Change] = [count, count, count]
        outcomes = await self.together(
            store, [*draws, lambda connection: connection.execute(text("INSERT INTO nowhere VALUES (1)"))]
        )
        self.assertEqual(outcomes, [True, True, True, StoreError])
        await store.spend([draw(amount=4)], NOW)
        with self.assertRaises(Exhausted):
            await store.spend([draw(amount=4)], NOW)

    async def test_a_bug_of_one(self) -> None:
        """Comes out as it is, and harms nobody else."""
        store = await self.opened()
        outcomes = await self.together(store, [save(CA), lambda _: 1 // 0])
        self.assertEqual(outcomes, [True, ZeroDivisionError])
        self.assertIsNotNone(await store.account(CA))


def save(directory_url: str) -> Change:
    """Save an account."""
    row = account_to_row(StoredAccount(directory_url, b"key"))
    return lambda connection: put(connection, accounts, [row])


def count(connection: Connection) -> None:
    """Draw one of four."""
    spend(connection, [draw(amount=4)], NOW)
