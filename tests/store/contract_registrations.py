"""What must hold of registrations and secrets, on every database."""

from datetime import timedelta

from twisted.internet.defer import Deferred, gatherResults

from nodetrust.quotas import Draw, Limit
from nodetrust.store import StoredDialback, StoredRegistration
from tests.store.examples import NOW, PEER, StoreCase

MOST = 2
DIALBACK = StoredDialback(b"dialled", NOW, "[]")


def registration(value: str = "a", seconds: float = 0.0, peer: bytes = PEER) -> StoredRegistration:
    """Set so many seconds after NOW, for a minute."""
    set_at = NOW + timedelta(seconds=seconds)
    return StoredRegistration(peer, value, set_at, set_at + timedelta(minutes=1))


class RegistrationsContract(StoreCase):
    async def test_a_few_side_by_side(self) -> None:
        """The newest stay, and who has set a value hears which had to give way; each peer has its own."""
        store = await self.opened()
        self.assertEqual(await store.register(registration("x", peer=b"other"), MOST, DIALBACK), [])
        for number, value in enumerate("abc"):
            gone = await store.register(registration(value, number), MOST, DIALBACK)
            self.assertEqual([one.value for one in gone], ["a"] if value == "c" else [])
        self.assertEqual(await store.registrations(PEER), [registration("c", 2), registration("b", 1)])
        self.assertEqual(len(await store.registrations(b"other")), 1)

    async def test_set_again(self) -> None:
        """The same value lives on, and takes nobody's place."""
        store = await self.opened()
        await store.register(registration("a"), MOST, DIALBACK)
        await store.register(registration("b", 1), MOST, DIALBACK)
        self.assertEqual(await store.register(registration("a", 2), MOST, DIALBACK), [])
        self.assertEqual(await store.registrations(PEER), [registration("a", 2), registration("b", 1)])
        await store.unregister([registration("a")])  # of its first life
        self.assertEqual(len(await store.registrations(PEER)), 2)
        await store.unregister([registration("a", 2), registration("b", 1)])
        self.assertEqual(await store.registrations(PEER), [])

    async def test_clock_set_back(self) -> None:
        """What is set now stays, though an older one says a later time."""
        store = await self.opened()
        await store.register(registration("a", 900), MOST, DIALBACK)
        await store.register(registration("b", 901), MOST, DIALBACK)
        gone = await store.register(registration("c"), MOST, DIALBACK)
        self.assertEqual([one.value for one in gone], ["a"])

    async def test_ended(self) -> None:
        """Those whose time is up are found, a few at a time."""
        store = await self.opened()
        for number in range(3):
            await store.register(registration("v", number, bytes([number])), MOST, DIALBACK)
        ended = await store.ended_registrations(NOW + timedelta(seconds=61), 10)
        self.assertEqual({one.peer_id for one in ended}, {b"\0", b"\1"})
        self.assertEqual(len(await store.ended_registrations(NOW + timedelta(seconds=61), 1)), 1)

    async def test_dialbacks(self) -> None:
        """The last one is kept, and forgotten in the end; with it go buckets that are full, but no others."""
        store = await self.opened()
        self.assertIsNone(await store.dialback(PEER))
        for outcome in ("[]", "[1]"):
            await store.save_dialback(StoredDialback(PEER, NOW, outcome))
        self.assertEqual(await store.dialback(PEER), StoredDialback(PEER, NOW, "[1]"))
        await store.register(registration(), MOST, StoredDialback(PEER, NOW, "[2]"))
        self.assertEqual(await store.dialback(PEER), StoredDialback(PEER, NOW, "[2]"))
        limits = [Limit("autotls/peer/a", 1, 10), Limit("autotls/peer/b", 1, 1000), Limit("peer/a", 1, 10)]
        await store.spend([Draw(limit) for limit in limits], NOW)
        later = NOW + timedelta(seconds=20)
        await store.clear_dialbacks(NOW, "autotls/", later)
        self.assertIsNotNone(await store.dialback(PEER))
        await store.clear_dialbacks(later, "autotls/", later)
        self.assertIsNone(await store.dialback(PEER))

    async def test_one_secret(self) -> None:
        """Whoever comes first makes it; at the same moment there is one still."""
        store = await self.opened()
        waiting = [Deferred.fromCoroutine(store.secret("a", bytes([number]) * 32)) for number in range(5)]
        found = await gatherResults(waiting)
        self.assertEqual(len(set(found)), 1)
        self.assertEqual(await store.secret("b", b"b"), b"b")
        self.assertEqual(await store.secret("a", b"c"), found[0])
