"""The store's promises, on any database that `Store.open` takes."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import create_engine, text
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from nodetrust.store import Store, StoredAccount, StoredCertificate, StoreError

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def certificate(**changes: object) -> StoredCertificate:
    """A certificate of one peer, with some fields changed."""
    fields: dict[str, object] = {
        "peer_id": b"\x00\x24peer",
        "names": ("b.example", "a.example"),
        "public_key_sha256": bytes(32),
        "crypto": 2,
        "certificate_pem": b"leaf",
        "issuers_pem": b"issuer",
        "not_before": NOW,
        "not_after": NOW + timedelta(days=90),
        "from_csr": True,
    }
    return StoredCertificate(**{**fields, **changes})  # type: ignore[arg-type]


class StoreContract:
    """What every database must do; `url` is a new, empty one."""

    url: str

    async def opened(self) -> Store:
        """A store that is closed at the end of the test."""
        store = await Store.open(reactor, self.url)
        self.addCleanup(lambda: Deferred.fromCoroutine(store.close()))
        return store

    async def test_account_round_trip(self) -> None:
        """An account is found again by its directory URL, and saving it again replaces it."""
        store = await self.opened()
        first = StoredAccount("https://ca.example/dir", b"key", None)
        await store.save_account(first)
        self.assertEqual(await store.account("https://ca.example/dir"), first)
        second = StoredAccount("https://ca.example/dir", b"key", "https://ca.example/acct/1")
        await store.save_account(second)
        self.assertEqual(await store.account("https://ca.example/dir"), second)
        self.assertIsNone(await store.account("https://other.example/dir"))

    async def test_certificate_round_trip(self) -> None:
        """A certificate comes back as it was saved, its names sorted, whatever the order they are asked in."""
        store = await self.opened()
        await store.save_certificate(certificate())
        found = await store.newest_certificate(b"\x00\x24peer", ["b.example", "a.example"], bytes(32), NOW)
        self.assertEqual(found, certificate(names=("a.example", "b.example")))

    async def test_every_part_of_the_question_counts(self) -> None:
        """Another peer, other names, another key, or too short a life: not found."""
        store = await self.opened()
        await store.save_certificate(certificate())
        names, key = ("a.example", "b.example"), bytes(32)
        for peer, asked, sha256, until in (
            (b"other", names, key, NOW),
            (b"\x00\x24peer", ("a.example",), key, NOW),
            (b"\x00\x24peer", (*names, "c.example"), key, NOW),
            (b"\x00\x24peer", names, bytes([1] * 32), NOW),
            (b"\x00\x24peer", names, key, NOW + timedelta(days=90)),
        ):
            self.assertIsNone(await store.newest_certificate(peer, asked, sha256, until))

    async def test_the_newest_wins(self) -> None:
        """Of several certificates the one that ends last is found."""
        store = await self.opened()
        for days in (60, 90, 30):
            await store.save_certificate(certificate(not_after=NOW + timedelta(days=days)))
        found = await store.newest_certificate(b"\x00\x24peer", ("a.example", "b.example"), bytes(32), NOW)
        self.assertEqual(found.not_after, NOW + timedelta(days=90))

    async def test_forgets_what_has_ended(self) -> None:
        """Only certificates that ended before the given time are deleted."""
        store = await self.opened()
        for days in (1, 2, 3):
            await store.save_certificate(certificate(not_after=NOW + timedelta(days=days)))
        self.assertEqual(await store.forget_certificates(NOW + timedelta(days=3)), 2)

    async def test_closed_store(self) -> None:
        """After close every question is refused, and closing again is harmless."""
        store = await self.opened()
        await store.close()
        await store.close()
        with self.assertRaises(StoreError):
            await store.account("https://ca.example/dir")


class MemoryStoreTests(StoreContract, TestCase):
    """SQLite in memory."""

    url = "sqlite://"


class FileStoreTests(StoreContract, TestCase):
    """SQLite in a file, and what only a file can show."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute() / "deep" / "store.db"
        self.url = f"sqlite:///{self.path}"

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

    async def test_every_commit_is_synced(self) -> None:
        """The connection runs with WAL and synchronous=FULL (2)."""
        store = await self.opened()
        synchronous = await store._in_transaction(lambda c: c.execute(text("PRAGMA synchronous")).scalar())
        journal = await store._in_transaction(lambda c: c.execute(text("PRAGMA journal_mode")).scalar())
        self.assertEqual((synchronous, journal), (2, "wal"))

    async def test_newer_schema(self) -> None:
        """A store of a later version is left alone, and the error tells both versions."""
        await (await self.opened()).close()
        engine = create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE schema_version SET version = 99"))
        engine.dispose()
        with self.assertRaisesRegex(StoreError, "99"):
            await Store.open(reactor, self.url)

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
