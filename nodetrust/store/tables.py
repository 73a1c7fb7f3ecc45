"""What the parts of the store share: the database, and a few statements that each of them needs."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from nodetrust.store.database import Database

_ALONE = 0x6E6F6465  # any number that nobody else's locks have: "node"


class Tables:
    """One concern of the store, on its tables."""

    def __init__(self, database: Database) -> None:
        self._database = database


def first(connection: Connection, query: Select[Any]) -> dict[str, Any] | None:
    """The first row by its columns' names."""
    found = connection.execute(query).mappings().first()
    return None if found is None else dict(found)


def every(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    """All rows by their columns' names."""
    return [dict(row) for row in connection.execute(query).mappings()]


def put(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, each in place of the one with the same primary key."""
    statement = _insert(connection, table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), list(rows))


def add(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row if there is none with the same primary key; whether it was inserted."""
    statement = _insert(connection, table).values(row).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(statement).first() is not None


def alone(connection: Connection) -> None:
    """From here to its end, this transaction runs beside no other one that says so, in whatever process.

    On SQLite that holds for all that write. To be said before the first look at what is to be changed.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_ALONE)))


def _insert(connection: Connection, table: Table) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)
