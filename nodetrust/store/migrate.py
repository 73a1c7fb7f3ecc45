"""Bringing the tables up to date, whole or not at all. It blocks: for the store's threads only."""

from sqlalchemy import Connection, Engine, MetaData, Table, func, inspect, select, text

from nodetrust.store.errors import StoreError
from nodetrust.store.schema import schema_version

STEPS = ("0001", "0002", "0003", "0004")
"""All steps in `migrations`, oldest first."""

_BEFORE_STEPS = 1
"""The version of `schema_version` in a store that was made before there were steps: it has what 0001 makes."""

_MIGRATING = 0x6E6F646574727573  # any number that nobody else's locks have: "nodetrus"


def migrate(engine: Engine) -> None:
    """Run the steps that this database lacks. Raises `StoreError` if it has steps that we don't know."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Several servers may start at the same moment: one makes the tables, the others wait for it. On SQLite the
            # transaction began with the right to write.
            for limit in ("lock_timeout", "statement_timeout"):
                connection.execute(text(f"SET LOCAL {limit} = 0"))
            connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
        found = _step(connection)
        if found == STEPS[-1]:
            return
        if found is not None and found not in STEPS:
            raise StoreError(f"a newer nodetrust made the store: it has schema {found}, here {STEPS[-1]} is the newest")
        from nodetrust.store.migrations.run import run_steps  # noqa: PLC0415  # as it says itself

        run_steps(connection, found, STEPS[-1])


def _step(connection: Connection) -> str | None:
    """The newest step that this database has; None if it is empty."""
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        alembic_version = Table("alembic_version", MetaData(), autoload_with=connection)
        step = connection.execute(select(alembic_version.c.version_num)).scalar()
        return None if step is None else str(step)
    if schema_version.name not in tables:
        return None
    version = connection.execute(select(schema_version.c.version)).scalar()
    return STEPS[0] if version == _BEFORE_STEPS else f"version {version}"
