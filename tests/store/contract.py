"""What every database that `Store.open` takes must do: to be mixed into a `TestCase`."""

from twisted.internet.defer import Deferred, gatherResults

from nodetrust.store import StoredAccount, StoreError
from tests.store.contract_orders import OrdersContract
from tests.store.contract_registrations import RegistrationsContract
from tests.store.contract_shared import SharedContract
from tests.store.examples import CA, NAMES, NOW, PEER, certificate, later, there


class StoreContract(OrdersContract, RegistrationsContract, SharedContract):
    """What every database must do; `url` is a new, empty one."""

    async def test_account_round_trip(self) -> None:
        """An account is found again by its directory URL, and saving it again replaces it."""
        store = await self.opened()
        first = StoredAccount(CA, b"key", None)
        await store.save_account(first)
        self.assertEqual(await store.account(CA), first)
        second = StoredAccount(CA, b"key", "https://ca.example/acct/1", next_key_pem=b"next")
        await store.save_account(second)
        self.assertEqual(await store.account(CA), second)
        self.assertIsNone(await store.account("https://other.example/dir"))

    async def test_first_account_stays(self) -> None:
        """A second one for the same CA is told the first one, until that is forgotten."""
        store = await self.opened()
        first, second = StoredAccount(CA, b"first"), StoredAccount(CA, b"second")
        self.assertEqual(await store.first_account(first), first)
        self.assertEqual(await store.first_account(second), first)
        await store.forget_account(CA)
        self.assertIsNone(await store.account(CA))
        self.assertEqual(await store.first_account(second), second)

    async def test_certificate_round_trip(self) -> None:
        """A certificate comes back as it was saved, its names sorted, whatever the order they are asked in."""
        store = await self.opened()
        saved = {"directory_url": CA, "renew_at": later(days=60), "ari_checked_at": NOW}
        await store.save_certificate(certificate(**saved))
        found = there(await store.newest_certificate(PEER, reversed(NAMES), bytes(32), NOW))
        self.assertEqual(found, certificate(names=NAMES, **saved))
        await store.save_certificate(certificate(peer_id=b"other"))
        found = there(await store.newest_certificate(b"other", NAMES, bytes(32), NOW))
        self.assertEqual(found, certificate(peer_id=b"other", names=NAMES))

    async def test_every_part_of_the_question_counts(self) -> None:
        """Another peer, other names, another key, or too short a life: not found."""
        store = await self.opened()
        await store.save_certificate(certificate())
        key = bytes(32)
        for peer, asked, sha256, until in (
            (b"other", NAMES, key, NOW),
            (PEER, ("a.example",), key, NOW),
            (PEER, (*NAMES, "c.example"), key, NOW),
            (PEER, NAMES, bytes([1] * 32), NOW),
            (PEER, NAMES, key, later(days=90)),
        ):
            self.assertIsNone(await store.newest_certificate(peer, asked, sha256, until))

    async def test_revoked(self) -> None:
        """One certificate alone is due, and stays so: the CA is asked no more, and an answer on its way comes late."""
        store = await self.opened()
        await store.save_certificate(certificate(certificate_pem=b"this one", renew_at=later(days=60)))
        await store.save_certificate(certificate(peer_id=b"other", renew_at=later(days=60)))
        await store.save_revocation(b"this one", NOW)
        found = [there(await store.newest_certificate(peer, NAMES, bytes(32), NOW)) for peer in (PEER, b"other")]
        self.assertEqual([one.renew_at for one in found], [NOW, later(days=60)])
        self.assertEqual([one.peer_id for one in await store.certificates_to_check(later(1), 10)], [b"other"])
        await store.save_renewal(there(found[0].id), later(days=60), later(1))
        self.assertEqual(there(await store.newest_of_peer(PEER)).renew_at, NOW)

    async def test_the_newest_wins(self) -> None:
        """Of several certificates the one that ends last is found."""
        store = await self.opened()
        for days in (60, 90, 30):
            await store.save_certificate(certificate(not_after=later(days=days)))
        found = there(await store.newest_certificate(PEER, NAMES, bytes(32), NOW))
        self.assertEqual(found.not_after, later(days=90))

    async def test_newest_whatever_its_key(self) -> None:
        """For the same names with another key, and of the peer at all."""
        store = await self.opened()
        self.assertIsNone(await store.newest_of_peer(PEER))
        await store.save_certificate(certificate())
        await store.save_certificate(certificate(public_key_sha256=bytes([1] * 32), not_after=later(days=91)))
        await store.save_certificate(certificate(names=("c.example",), not_after=later(days=92)))
        await store.save_certificate(certificate(peer_id=b"other", not_after=later(days=93)))
        found = there(await store.newest_for_names(PEER, reversed(NAMES)))
        self.assertEqual(found.not_after, later(days=91))
        self.assertEqual(there(await store.newest_of_peer(PEER)).names, ("c.example",))

    async def test_whose_renewal_to_ask_about(self) -> None:
        """Those that waited longest first; not those that ended, nor those that were replaced."""
        store = await self.opened()
        for number, not_after in enumerate((later(days=90), later(days=91), NOW)):
            await store.save_certificate(certificate(peer_id=b"%d" % number, not_after=not_after))
        for not_after in (later(days=80), later(days=95), later(days=70)):
            await store.save_certificate(certificate(peer_id=b"renewed", not_after=not_after))
        found = await store.certificates_to_check(later(1), 10)
        self.assertEqual([one.peer_id for one in found], [b"0", b"1", b"renewed"])
        self.assertEqual(found[2].not_after, later(days=95))
        await store.save_renewal(there(found[0].id), later(days=60), later(10))
        await store.save_renewal(there(found[1].id), None, later(5))
        again = await store.certificates_to_check(later(11), 2)
        self.assertEqual([one.peer_id for one in again], [b"renewed", b"1"])
        self.assertEqual([one.ari_checked_at for one in again], [None, later(5)])
        self.assertEqual([one.peer_id for one in await store.certificates_to_check(later(10), 10)], [b"renewed", b"1"])
        await store.save_renewal(there(found[0].id), None, later(20))
        self.assertEqual(there(await store.newest_of_peer(b"0")).renew_at, later(days=60))

    async def test_checks_from_the_future(self) -> None:
        """A clock that was set back does not stop the questions until it has caught up."""
        store = await self.opened()
        await store.save_certificate(certificate())
        (found,) = await store.certificates_to_check(NOW, 10)
        await store.save_renewal(there(found.id), None, later(days=80))
        self.assertEqual(await store.check_again(later(days=90)), 0)
        self.assertEqual(await store.certificates_to_check(NOW, 10), [])
        self.assertEqual(await store.check_again(later(days=2)), 1)
        self.assertEqual(len(await store.certificates_to_check(NOW, 10)), 1)

    async def test_how_many_are_due_early(self) -> None:
        """Only by a CA's word: not those that are old, ended, replaced, or planned for later."""
        store = await self.opened()
        self.assertEqual(await store.count_due_early(NOW), (0, 0))
        for number, (began, renew_at) in enumerate(((0, -1), (-10, -1), (-80, -20), (-90, -30), (0, 60), (0, None))):
            times = {"not_before": later(days=began), "not_after": later(days=began + 90)}
            planned = None if renew_at is None else later(days=renew_at)
            await store.save_certificate(certificate(peer_id=b"%d" % number, renew_at=planned, **times))
        await store.save_certificate(certificate(peer_id=b"1", not_after=later(days=91)))
        self.assertEqual(await store.count_due_early(NOW), (1, 5))

    async def test_closed_store(self) -> None:
        """After close every question is refused, and closing again is harmless."""
        store = await self.opened()
        await store.close()
        await store.close()
        with self.assertRaises(StoreError):
            await store.account(CA)

    async def test_close_waits_for_what_was_asked(self) -> None:
        """What was on its way when the store was closed is in it."""
        store = await self.opened()
        saving = [Deferred.fromCoroutine(store.save_certificate(certificate(peer_id=b"%d" % n))) for n in range(50)]
        await store.close()
        self.assertTrue(all(one.called for one in saving))
        await gatherResults(saving)
