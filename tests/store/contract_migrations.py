"""What must hold of the steps that bring tables up to date, on every database that lasts."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, create_engine, func, insert, inspect, select, text, update
from twisted.internet.defer import Deferred, gatherResults

from nodetrust.store import StoredAccount, StoreError
from nodetrust.store.migrate import STEPS
from nodetrust.store.migrations.run import run_steps
from nodetrust.store.rows import account_to_row, certificate_to_row
from nodetrust.store.schema import accounts, certificates, metadata, schema_version
from tests.store.examples import CA, NAMES, NOW, PEER, StoreCase, certificate, later

NEW_COLUMNS = {"next_key_pem", "directory_url", "renew_at", "ari_checked_at", "is_newest"}
OLD_ACCOUNT = {"key_pem", "account_url", "directory_url"}


class MigrationsContract(StoreCase):
    """The way from nothing, or from the tables of before there were steps, to those of now."""

    def engine(self) -> Engine:
        """The database, past the store."""
        engine = create_engine(self.url)
        self.addCleanup(engine.dispose)
        return engine

    def make_old_store(self) -> None:
        """What nodetrust made before there were steps, with an account and three certificates, two for the same."""
        with self.engine().begin() as connection:
            run_steps(connection, None, STEPS[0])
            connection.execute(text("DROP TABLE alembic_version"))
            account = account_to_row(StoredAccount(CA, b"key", "https://ca.example/acct/1"))
            connection.execute(insert(accounts).values({key: account[key] for key in OLD_ACCOUNT}))
            for changes in ({"not_after": later(days=60)}, {}, {"peer_id": b"other"}):
                row = certificate_to_row(certificate(**changes))
                connection.execute(
                    insert(certificates).values({key: row[key] for key in row.keys() - NEW_COLUMNS}),
                )

    async def test_tables_are_those_of_the_schema(self) -> None:
        """After all steps nothing is left to be changed, and the last one is written down."""
        await self.opened()
        with self.engine().connect() as connection:
            context = MigrationContext.configure(connection)
            self.assertEqual(context.get_current_revision(), STEPS[-1])
            left = compare_metadata(context, metadata)
        self.assertEqual(left, [])

    async def test_old_store_is_taken_over(self) -> None:
        """Everything in it is found, and a nodetrust from before the steps will leave it alone."""
        self.make_old_store()
        store = await self.opened()
        self.assertEqual(await store.account(CA), StoredAccount(CA, b"key", "https://ca.example/acct/1"))
        self.assertEqual(await store.newest_certificate(PEER, NAMES, bytes(32), NOW), certificate(names=NAMES))
        found = await store.certificates_to_check(NOW, 10)
        self.assertEqual(
            [(one.peer_id, one.not_after) for one in found], [(PEER, later(days=90)), (b"other", later(days=90))]
        )
        with self.engine().connect() as connection:
            self.assertNotEqual(connection.execute(select(schema_version.c.version)).scalar(), 1)

    async def test_all_or_nothing(self) -> None:
        """A step that fails in its middle leaves the old store as it was."""
        self.make_old_store()
        with self.engine().begin() as connection:
            connection.execute(text("CREATE TABLE troubles (mine INTEGER)"))
        with self.assertRaises(StoreError):
            await self.opened()
        with self.engine().connect() as connection:
            self.assertEqual(
                set(inspect(connection).get_table_names()), {"accounts", "certificates", "schema_version", "troubles"}
            )
            self.assertEqual(connection.execute(select(schema_version.c.version)).scalar(), 1)
        with self.engine().begin() as connection:
            connection.execute(text("DROP TABLE troubles"))
        self.assertIsNotNone(await (await self.opened()).account(CA))

    async def test_newer_store_is_left_alone(self) -> None:
        """One of a later nodetrust is refused, with both versions in the text."""
        await (await self.opened()).close()
        with self.engine().begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with self.assertRaisesRegex(StoreError, f"newer.*9999.*{STEPS[-1]}"):
            await self.opened()

    async def test_unknown_store_of_before(self) -> None:
        """So is one of another version from before there were steps."""
        self.make_old_store()
        with self.engine().begin() as connection:
            connection.execute(update(schema_version).values(version=99))
        with self.assertRaisesRegex(StoreError, "99"):
            await self.opened()

    async def test_several_start_at_once(self) -> None:
        """One takes the old store over, the others wait for it."""
        self.make_old_store()
        stores = await gatherResults([Deferred.fromCoroutine(self.opened()) for _ in range(4)])
        for store in stores:
            self.assertIsNotNone(await store.account(CA))
        with self.engine().connect() as connection:
            steps = connection.execute(select(func.count()).select_from(text("alembic_version"))).scalar()
        self.assertEqual(steps, 1)
