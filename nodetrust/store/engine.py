"""Opening the database: its file, its durability, its tables. All of it blocks: for the store's threads only."""

import os
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from nodetrust.store.errors import StoreError
from nodetrust.store.migrate import migrate

BUSY_SECONDS = 5
"""How long one process waits while another one writes to the same SQLite file."""

OPENING_SECONDS = 60.0
"""How long the file may be in other processes' hands when it is opened: one of those that start together makes the
tables, and while it makes the file one of WAL, SQLite refuses all others at once."""

_LOOK_AGAIN_SECONDS = 0.05

_PRAGMAS = (
    # First of all, because the next one may meet another process.
    f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}",
    "PRAGMA journal_mode = WAL",
    # With WAL only FULL syncs each commit: what we have acknowledged survives a power cut, not only kill -9.
    "PRAGMA synchronous = FULL",
)

POSTGRESQL_CONNECTIONS = 8

_LIBPQ = {
    "application_name": "nodetrust",
    "connect_timeout": "5",
    # One that waits for another one's lock gives up before our own patience ends, and an issue server that froze in the
    # middle of a transaction does not keep its locks.
    "options": "-c statement_timeout=10s -c lock_timeout=10s -c idle_in_transaction_session_timeout=10s",
    # One that has vanished from the network is noticed as soon.
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
"""For libpq; what the URL says goes before it. <https://www.postgresql.org/docs/current/libpq-connect.html>"""

_READS = "nodetrust_reads"  # an execution option: no transaction is begun


def parse_url(text: str) -> URL:
    """A database URL of SQLAlchemy; `StoreError` for other text (which may hold a password and is not repeated)."""
    try:
        return make_url(text)
    except ArgumentError as error:
        raise StoreError("the store's URL is not like sqlite:////path or postgresql+psycopg://host/name") from error


def open_engine(url: URL) -> Engine:
    """An engine whose tables exist and are of our version."""
    kinds = {"sqlite": _sqlite, "postgresql": _postgresql}
    kind = kinds.get(url.drivername.partition("+")[0])
    if kind is None:
        raise StoreError(f"the store {url.render_as_string()} is neither SQLite nor PostgreSQL")
    try:
        engine = kind(url)
    except (NoSuchModuleError, ImportError) as error:
        raise StoreError(f"the driver for {url.drivername} is not installed: {error}") from error
    _migrate_when_free(engine)
    return engine


def reading(engine: Engine) -> Engine:
    """The same engine for single SELECTs, which need no transaction."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(**{_READS: True})
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def is_memory(url: URL) -> bool:
    """A database that lives no longer than its one connection."""
    return url.database in (None, "", ":memory:")


def _postgresql(url: URL) -> Engine:
    arguments = {name: value for name, value in _LIBPQ.items() if name not in url.query}
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        # A server that was restarted, or a firewall that forgot us, is found out before work is given to it.
        pool_pre_ping=True,
        pool_size=POSTGRESQL_CONNECTIONS,
        max_overflow=0,
        connect_args=arguments,
    )


def _migrate_when_free(engine: Engine) -> None:
    give_up = time.monotonic() + OPENING_SECONDS
    while True:
        try:
            return migrate(engine)
        except OperationalError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # without what SQLite says more closely
            if code != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
        time.sleep(_LOOK_AGAIN_SECONDS)


def _sqlite(url: URL) -> Engine:
    if is_memory(url):
        # One connection for all threads, for another one would be another database.
        engine = create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        _make_private_file(Path(str(url.database)))
        engine = create_engine(url)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_private_file(path: Path) -> None:
    """SQLite gives its -wal and -shm files the mode of the database, so it must be right before the first write.

    A file that is there is not opened: closing it would free the locks that SQLite has on it in this process.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        path.chmod(0o600)


def _set_up_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # Python's module would begin transactions by itself, and begin them as readers: two of those that want to write
    # cannot both go on.
    driver: Any = connection
    driver.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    if not connection.get_execution_options().get(_READS):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
