"""What every database that `Store.open` takes must do: to be mixed into a `TestCase`."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred

from nodetrust.store import Store, StoredAccount, StoredCertificate, StoreError

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as Mixin
else:
    Mixin = object  # so that Trial runs only the classes that mix it in

reactor: Any = default_reactor

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


class StoreContract(Mixin):
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
        assert found is not None
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
