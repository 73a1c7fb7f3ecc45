"""A full disk, a disk that takes nothing, and a database that others hold: an error soon, and work goes on after it."""

import shutil
import sqlite3
import time
from contextlib import ExitStack
from pathlib import Path

from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import SkipTest, TestCase

from nodetrust.store import Store, StoreError, database, engine, lane
from tests.store.examples import CA, NAMES, NOW, StoreCase, certificate, draw, later, request
from tests.store.processes import PRELUDE, output_of

DISK_SCRIPT = (
    PRELUDE
    + """
import contextlib, pathlib, subprocess
disk = pathlib.Path(sys.argv[1])

def mount(*arguments):
    subprocess.run(["mount", *arguments, str(disk)], check=True)

async def main():
    mount("-t", "tmpfs", "-o", "size=1M", "tmpfs")
    store = await Store.open(reactor, f"sqlite:///{disk}/store.db")
    saved = []
    try:
        for number in range(10000):
            await store.save_certificate(certificate(peer_id=b"%d" % number, issuers_pem=bytes(4000)))
            saved.append(number)
    except StoreError as error:
        print("full:", error)
    with (disk / "rest").open("wb", buffering=0) as rest, contextlib.suppress(OSError):
        while True:
            rest.write(bytes(512))
    try:  # small changes may fit into what the journal has of the disk already
        for number in range(10000):
            await store.save_account(StoredAccount(f"https://ca.example/{number}", b"key"))
    except StoreError:
        pass
    for what in (store.open_order(request(), CA, [draw()], b"e", NOW), store.spend([draw()], NOW)):
        try:
            await what
            print("written on a full disk")
        except StoreError:
            pass
    mount("-o", "remount,size=2M")
    found = [await store.newest_of_peer(b"%d" % number) for number in saved]
    print("kept:", len(saved) > 10 and None not in found)
    await store.spend([draw(cost=2)], NOW)
    await store.open_order(request(), CA, [], b"e", NOW)
    await store.close()
    mount("-o", "remount,ro")
    try:
        await Store.open(reactor, f"sqlite:///{disk}/store.db")
    except StoreError as error:
        print("read-only:", error)
    mount("-o", "remount,rw")
    store = await Store.open(reactor, f"sqlite:///{disk}/store.db")
    print("again:", await store.open_order_for(request().same) is not None)
    await store.close()

run(main())
"""
)


class FaultTests(StoreCase, TestCase):
    """A store in a file, and something that is wrong with its disk or its neighbours."""

    timeout = 300

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        self.url = f"sqlite:///{self.path}"

    def fault(self, store: Store, pragma: str) -> None:
        """Have SQLite itself refuse what writes, or no more, on both connections of the store."""
        with ExitStack() as both:
            for _ in range(2):
                both.enter_context(store._database._reader.connect()).exec_driver_sql(f"PRAGMA {pragma}")

    async def test_full(self) -> None:
        """Nothing of what failed is there, all that was acknowledged is, and with room it goes on."""
        store = await self.opened()
        await store.save_certificate(certificate())
        self.fault(store, "max_page_count = 1")
        order = certificate(peer_id=b"other", issuers_pem=bytes(100_000))
        opened = await store.open_order(request(), CA, [draw()], b"e", NOW)
        with self.assertRaisesRegex(StoreError, "full"):
            await store.settle_order(opened.id, order, [draw()], NOW)
        self.assertIsNone(await store.newest_of_peer(b"other"))
        self.assertEqual(await store.open_order_for(request().same), opened)
        self.assertIsNotNone(await store.newest_certificate(certificate().peer_id, NAMES, bytes(32), NOW))
        self.fault(store, "max_page_count = 1000000")
        await store.settle_order(opened.id, order, [draw()], NOW)
        self.assertIsNotNone(await store.newest_of_peer(b"other"))

    async def test_full_for_one_of_many(self) -> None:
        """What is too large fails, and what was asked at the same moment does not."""
        store = await self.opened()
        self.fault(store, "max_page_count = 1")
        sizes = [10, 100_000, 10, 100_000, 10]
        saving = [
            Deferred.fromCoroutine(store.save_certificate(certificate(peer_id=b"%d" % n, issuers_pem=bytes(size))))
            for n, size in enumerate(sizes)
        ]
        saved = await DeferredList(saving, consumeErrors=True)
        self.assertEqual([success for success, _ in saved], [True, False, True, False, True])
        found = [await store.newest_of_peer(b"%d" % number) is not None for number in range(5)]
        self.assertEqual(found, [True, False, True, False, True])

    async def test_read_only(self) -> None:
        """Questions are answered, changes fail and say why."""
        store = await self.opened()
        await store.save_certificate(certificate())
        self.fault(store, "query_only = 1")
        with self.assertRaisesRegex(StoreError, "readonly"):
            await store.use_proofs([b"proof"], later(60), NOW)
        self.assertIsNotNone(await store.newest_of_peer(certificate().peer_id))
        self.fault(store, "query_only = 0")
        self.assertEqual(await store.use_proofs([b"proof"], later(60), NOW), frozenset())

    async def test_a_real_disk(self) -> None:
        """One of 1 MB that becomes full, larger, and read-only."""
        if shutil.which("unshare") is None:
            raise SkipTest("unshare (util-linux) gives a test a disk of its own")
        disk = Path(self.mktemp()).absolute()
        disk.mkdir()
        said = await output_of(DISK_SCRIPT, str(disk), before=("unshare", "--user", "--map-root-user", "--mount"))
        self.assertRegex(said, r"\Afull: .*full.*\nkept: True\nread-only: .*(readonly|Read-only).*\nagain: True\n\Z")

    async def test_another_process_writes_for_long(self) -> None:
        """Changes wait for it a while and then fail; questions don't wait; the reactor runs on."""
        self.patch(engine, "_PRAGMAS", ("PRAGMA busy_timeout = 1000", *engine._PRAGMAS[1:]))
        store = await self.opened()
        ticks = LoopingCall(lambda: None)
        ticks.start(0.01)
        self.addCleanup(ticks.stop)
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        changes = [Deferred.fromCoroutine(store.spend([draw()], NOW)) for _ in range(20)]
        self.assertIsNone(await store.newest_of_peer(b"peer"))
        self.assertFalse(any(change.called for change in changes))
        failed = await DeferredList(changes, consumeErrors=True)
        self.assertEqual({failure.type for _, failure in failed}, {StoreError})
        self.assertLess(time.monotonic() - began, 5)
        other.execute("COMMIT")
        await store.spend([draw()], NOW)

    async def test_stuck(self) -> None:
        """While the database does not answer at all: no more waits than may, nobody for longer than said."""
        self.patch(database, "ANSWER_SECONDS", 1.0)
        self.patch(database, "CLOSE_SECONDS", 0.2)
        self.patch(lane, "MAX_WAITING", 10)
        store = await self.opened()
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        first = Deferred.fromCoroutine(store.spend([draw("first")], NOW))
        while store._database._writes._waiting:
            await gatherResults([Deferred.fromCoroutine(store.newest_of_peer(b"peer"))])
        began = time.monotonic()
        changes = [Deferred.fromCoroutine(store.spend([draw()], NOW)) for _ in range(30)]
        self.assertEqual(sum(change.called for change in changes), 20)
        failed = await DeferredList([first, *changes], consumeErrors=True)
        self.assertEqual({failure.type for _, failure in failed}, {StoreError})
        self.assertLess(time.monotonic() - began, 3)
        await store.close()
        self.assertLess(time.monotonic() - began, 4)
        other.execute("COMMIT")
