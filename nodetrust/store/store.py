"""`Store`: what must outlive a restart. Its methods return when the database, on another thread, has answered."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Select, delete, insert, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from nodetrust.store import rows
from nodetrust.store.engine import open_engine, parse_url
from nodetrust.store.errors import StoreError
from nodetrust.store.schema import accounts, certificates
from nodetrust.store.values import StoredAccount, StoredCertificate

_SERVER_THREADS = 4  # a database server does several things at once; SQLite has one writer

_T = TypeVar("_T")


class Store:
    """Made with `open`; whoever opened it closes it. Everything raises `StoreError` and nothing else."""

    def __init__(self, reactor: IReactorFromThreads, url: URL) -> None:
        self._reactor = reactor
        self._url = url
        threads = 1 if url.get_backend_name() == "sqlite" else _SERVER_THREADS
        self._threads = ThreadPool(minthreads=1, maxthreads=threads, name="store")
        self._engine: Engine | None = None

    @classmethod
    async def open(cls, reactor: IReactorFromThreads, url: str) -> "Store":
        """Open a database, and make its tables if there are none.

        `sqlite:////absolute/path` (the file gets mode 0600, a new folder 0700), `sqlite://` (memory), or any URL of
        SQLAlchemy whose driver is installed.
        """
        store = cls(reactor, parse_url(url))
        store._threads.start()
        try:
            store._engine = await store._in_thread(lambda: open_engine(store._url))
        except (StoreError, CancelledError):
            store._threads.stop()
            raise
        return store

    async def close(self) -> None:
        """Finish what was asked for and close the connections; a second time it does nothing."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await self._in_thread(engine.dispose)
            self._threads.stop()

    async def account(self, directory_url: str) -> StoredAccount | None:
        """Our account at this CA."""
        query = select(accounts).where(accounts.c.directory_url == directory_url)
        found = await self._in_transaction(lambda connection: _first(connection, query))
        return None if found is None else rows.account_from_row(found)

    async def save_account(self, account: StoredAccount) -> None:
        """Keep an account, in place of the one that was known for this CA."""

        def replace(connection: Connection) -> None:
            connection.execute(delete(accounts).where(accounts.c.directory_url == account.directory_url))
            connection.execute(insert(accounts).values(rows.account_to_row(account)))

        await self._in_transaction(replace)

    async def save_certificate(self, certificate: StoredCertificate) -> None:
        """Keep a certificate beside those that are there."""
        statement = insert(certificates).values(rows.certificate_to_row(certificate))
        await self._in_transaction(lambda connection: connection.execute(statement))

    async def newest_certificate(
        self, peer_id: bytes, names: Iterable[str], public_key_sha256: bytes, valid_until: datetime
    ) -> StoredCertificate | None:
        """This peer's certificate for exactly these names and this key that ends last, and after `valid_until`."""
        query = (
            select(certificates)
            .where(certificates.c.peer_id == peer_id)
            .where(certificates.c.public_key_sha256 == public_key_sha256)
            .where(certificates.c.names == rows.names_to_column(names))
            .where(certificates.c.not_after > rows.seconds_of(valid_until))
            .order_by(certificates.c.not_after.desc(), certificates.c.id.desc())
            .limit(1)
        )
        found = await self._in_transaction(lambda connection: _first(connection, query))
        return None if found is None else rows.certificate_from_row(found)

    async def forget_certificates(self, ended_before: datetime) -> int:
        """Delete the certificates that ended before this time; how many they were."""
        statement = delete(certificates).where(certificates.c.not_after < rows.seconds_of(ended_before))
        return await self._in_transaction(lambda connection: connection.execute(statement).rowcount)

    async def _in_transaction(self, work: Callable[[Connection], _T]) -> _T:
        engine = self._engine
        if engine is None:
            raise StoreError(f"the store {self._url.render_as_string()} is closed")

        def transaction() -> _T:
            with engine.begin() as connection:
                return work(connection)

        return await self._in_thread(transaction)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        try:
            return await deferToThreadPool(self._reactor, self._threads, work)
        except (SQLAlchemyError, OSError) as error:
            reason = getattr(error, "orig", None) or error
            raise StoreError(f"the store {self._url.render_as_string()} failed: {reason}") from error


def _first(connection: Connection, query: Select[Any]) -> dict[str, Any] | None:
    found = connection.execute(query).mappings().first()
    return None if found is None else {str(column): value for column, value in found.items()}
