"""Opening the database: its file, its durability, its tables. All of it blocks: for the store's threads only."""

import os
from pathlib import Path

from sqlalchemy import Engine, create_engine, event, func, insert, make_url, select
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from nodetrust.store.errors import StoreError
from nodetrust.store.schema import SCHEMA_VERSION, metadata, schema_version

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # With WAL only FULL syncs each commit: what we have acknowledged survives a power cut, not only kill -9.
    "PRAGMA synchronous = FULL",
    "PRAGMA busy_timeout = 5000",
)

_TABLES_LOCK = 0x6E6F646574727573  # any number that nobody else's locks have: "nodetrus"


def parse_url(text: str) -> URL:
    """A database URL of SQLAlchemy; `StoreError` for other text (which may hold a password and is not repeated)."""
    try:
        return make_url(text)
    except ArgumentError as error:
        raise StoreError("the store's URL is not like sqlite:////path or postgresql+psycopg://host/name") from error


def open_engine(url: URL) -> Engine:
    """An engine whose tables exist and are of our version."""
    try:
        if url.get_backend_name() != "sqlite":
            return _prepared(create_engine(url, pool_pre_ping=True))
        return _prepared(_sqlite(url))
    except (NoSuchModuleError, ImportError) as error:
        raise StoreError(f"the driver for {url.drivername} is not installed: {error}") from error


def _sqlite(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        # One connection for all threads, for another one would be another database.
        return create_engine(url, poolclass=StaticPool, connect_args={"check_same_thread": False})
    _make_private_file(Path(url.database))
    engine = create_engine(url)
    event.listen(engine, "connect", _set_pragmas)
    return engine


def _make_private_file(path: Path) -> None:
    """SQLite gives its -wal and -shm files the mode of the database, so it must be right before the first write."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)


def _set_pragmas(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _prepared(engine: Engine) -> Engine:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # Several servers may start at the same moment: one makes the tables, the others wait for it.
            connection.execute(select(func.pg_advisory_xact_lock(_TABLES_LOCK)))
        metadata.create_all(connection)
        found = connection.execute(select(schema_version.c.version)).scalar()
        if found is None:
            connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))
        elif found != SCHEMA_VERSION:
            raise StoreError(f"the store has schema version {found}; this nodetrust knows version {SCHEMA_VERSION}")
    return engine
