"""The store's promises, on SQLite, and what only a file can show."""

import sqlite3
import stat
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from nodetrust.store import Store, StoredAccount, StoreError, engine
from tests.store.contract import StoreContract
from tests.store.contract_kill import KillContract
from tests.store.contract_migrations import MigrationsContract
from tests.store.contract_several import SeveralContract
from tests.store.examples import CA, NAMES, NOW, PEER, certificate, draw, later, request
from tests.store.processes import output_of


class MemoryStoreTests(StoreContract, TestCase):
    """SQLite in memory."""

    url = "sqlite://"


class FileStoreTests(StoreContract, SeveralContract, KillContract, MigrationsContract, TestCase):
    """SQLite in a file, and what only a file can show."""

    timeout = 600

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute() / "deep" / "store.db"
        self.url = f"sqlite:///{self.path}"

    def make_old_store(self) -> None:
        self.path.parent.mkdir(parents=True)
        super().make_old_store()

    async def test_survives_a_restart(self) -> None:
        """What was saved is there for the next process."""
        store = await self.opened()
        await store.save_account(StoredAccount("https://ca.example/dir", b"key"))
        await store.save_certificate(certificate())
        await store.close()
        again = await self.opened()
        self.assertEqual((await again.account("https://ca.example/dir")).key_pem, b"key")
        self.assertIsNotNone(
            await again.newest_certificate(b"\x00\x24peer", ("a.example", "b.example"), bytes(32), NOW)
        )

    async def test_only_we_may_read(self) -> None:
        """Database, write-ahead log and their folder are closed to others, also where the file was open before."""
        self.path.parent.mkdir(mode=0o700, parents=True)
        self.path.touch(mode=0o644)
        store = await self.opened()
        await store.save_account(StoredAccount("https://ca.example/dir", b"key"))
        modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in self.path.parent.iterdir()}
        self.assertEqual(set(modes.values()), {0o600}, modes)
        self.assertIn("store.db-wal", modes)
        self.assertEqual(stat.S_IMODE(self.path.parent.stat().st_mode), 0o700)

    async def test_in_the_hands_of_others(self) -> None:
        """Another process writes as it is opened, for longer than ours waits for a lock: it is opened afterwards.

        Where the file is not one of WAL yet, SQLite does not wait at all: the other one may just be making it so.
        """
        self.patch(engine, "_PRAGMAS", ("PRAGMA busy_timeout = 0", *engine._PRAGMAS[1:]))
        self.path.parent.mkdir(parents=True)
        for mode in ("delete", "wal"):
            other = sqlite3.connect(self.path, isolation_level=None)
            other.execute(f"PRAGMA journal_mode = {mode}")
            other.execute("BEGIN IMMEDIATE")
            other.execute("CREATE TABLE of_others (number)")
            opening = Deferred.fromCoroutine(self.opened())
            await deferLater(reactor, 0.3)
            self.assertFalse(opening.called)
            other.execute("ROLLBACK")
            other.close()
            await (await opening).close()
            self.path.unlink()

    async def test_locked_for_good(self) -> None:
        """What is wrong is said."""
        self.patch(engine, "OPENING_SECONDS", 0.2)
        self.patch(engine, "_PRAGMAS", ("PRAGMA busy_timeout = 0", *engine._PRAGMAS[1:]))
        self.path.parent.mkdir(parents=True)
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        with self.assertRaisesRegex(StoreError, "database is locked"):
            await self.opened()

    async def test_every_commit_is_synced(self) -> None:
        """The connection runs with WAL and synchronous=FULL (2)."""
        store = await self.opened()
        synchronous = await store._database.read(lambda c: c.execute(text("PRAGMA synchronous")).scalar())
        journal = await store._database.read(lambda c: c.execute(text("PRAGMA journal_mode")).scalar())
        self.assertEqual((synchronous, journal), (2, "wal"))

    async def test_up_to_date_needs_no_alembic(self) -> None:
        """A start without steps to run does not import it: that takes a tenth of a second."""
        await (await self.opened()).close()
        script = (
            "import sys; from nodetrust.store.engine import open_engine, parse_url; "
            "open_engine(parse_url(sys.argv[1])).dispose(); print('alembic' in sys.modules)"
        )
        self.assertEqual(await output_of(script, self.url), "False\n")

    async def test_nothing_reads_a_whole_table(self) -> None:
        """What is done for each request finds its rows by an index, and one that tells them apart."""
        store = await self.opened()
        seen: list[tuple[str, Any]] = []
        event.listen(
            store._database._writer,
            "before_cursor_execute",
            lambda connection, cursor, statement, parameters, *_: seen.append((statement, parameters)),
        )
        await store.newest_certificate(PEER, NAMES, bytes(32), NOW)
        await store.newest_for_names(PEER, NAMES)
        await store.newest_of_peer(PEER)
        await store.use_proofs([b"one"], later(60), NOW)
        order = await store.open_order(request(), CA, [draw()], b"e", NOW)
        await store.open_order_for(request().same)
        await store.note_placing(order.id, b"e")
        await store.claim_order(order.id, b"e", NOW)
        await store.settle_order(order.id, certificate(), [draw()], NOW)
        await store.forget_order(order.id)
        plans = [
            line[-1]
            for statement, parameters in seen
            if statement.startswith(("SELECT", "UPDATE", "DELETE"))
            for line in sqlite3.connect(self.path).execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
        self.assertGreater(len(plans), 10)
        for plan in plans:
            self.assertNotRegex(plan, "SCAN|certificates_by_end|certificates_to_check")

    async def test_not_a_database(self) -> None:
        """A file of something else is an error that names it."""
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(b"not SQLite" * 1000)
        with self.assertRaisesRegex(StoreError, "store.db"):
            await Store.open(reactor, self.url)

    async def test_folder_that_cannot_be_made(self) -> None:
        """A path below a file is an error, not a traceback."""
        self.path.parent.parent.mkdir(parents=True)
        self.path.parent.write_bytes(b"")
        with self.assertRaises(StoreError):
            await Store.open(reactor, self.url)


class UrlTests(TestCase):
    """What is no database."""

    async def test_garbage(self) -> None:
        """Text that is no URL, or one whose driver is missing, is refused without repeating a password."""
        for url in ("", "nonsense", "nosuchdriver://u:secret@h/d"):
            with self.assertRaises(StoreError) as caught:
                await Store.open(reactor, url)
            self.assertNotIn("secret", str(caught.exception))
