"""What the parts of the store share: the database, and a few statements that each of them needs."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from nodetrust.store.database import Database

_INSERTS: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}

_ALONE = 0x6E6F6465  # any number that nobody else's locks have: "node"


class Tables:
    """One concern of the store, on its tables."""

    def __init__(self, database: Database) -> None:
        self._database = database


def first(
    connection: Connection, query: Select[Any], parameters: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """The first row by its columns' names."""
    found = connection.execute(query, parameters).mappings().first()
    return None if found is None else dict(found)


def every(
    connection: Connection, query: Select[Any], parameters: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """All rows by their columns' names."""
    return [dict(row) for row in connection.execute(query, parameters).mappings()]


def put(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, each in place of the one with the same primary key."""
    connection.execute(_put_into(table, connection.dialect.name), list(rows))


def add(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row if there is none with the same primary key; whether it was inserted."""
    return connection.execute(_add_to(table, connection.dialect.name), row).first() is not None


def alone(connection: Connection) -> None:
    """From here to its end, this transaction runs beside no other one that says so, in whatever process.

    On SQLite that holds for all that write. To be said before the first look at what is to be changed.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_ALONE)))


@cache
def _put_into(table: Table, dialect: str) -> Any:
    statement = _INSERTS[dialect](table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


@cache
def _add_to(table: Table, dialect: str) -> Any:
    return _INSERTS[dialect](table).on_conflict_do_nothing().returning(*table.primary_key)
