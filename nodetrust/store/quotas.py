"""Budgets that outlive a restart; `nodetrust.quotas` decides, here its states are kept."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from nodetrust import quotas
from nodetrust.quotas import Draw
from nodetrust.store.schema import quotas as table
from nodetrust.store.tables import Tables, alone, put

_STATES = select(table.c.key, table.c.full_at).where(table.c.key.in_(bindparam("keys", expanding=True)))


class Quotas(Tables):
    """Buckets, shared by all servers."""

    async def spend(self, draws: Sequence[Draw], now: datetime) -> None:
        """Draw all, or nothing and raise `quotas.Exhausted`."""

        def change(connection: Connection) -> None:
            alone(connection)
            spend(connection, draws, now)

        await self._database.write(change)

    async def refund(self, draws: Sequence[Draw], now: datetime) -> None:
        """Put back what was drawn."""

        def change(connection: Connection) -> None:
            alone(connection)
            refund(connection, draws, now)

        await self._database.write(change)


def spend(connection: Connection, draws: Sequence[Draw], now: datetime) -> None:
    """As `Quotas.spend`, in a transaction that is `alone`."""
    _save(connection, quotas.spend(_states(connection, draws), draws, now.timestamp()))


def refund(connection: Connection, draws: Sequence[Draw], now: datetime) -> None:
    """As `Quotas.refund`, in a transaction that is `alone`."""
    _save(connection, quotas.refund(_states(connection, draws), draws, now.timestamp()))


def _states(connection: Connection, draws: Sequence[Draw]) -> dict[str, float]:
    keys = sorted(frozenset().union(*(draw.keys for draw in draws)))
    return {row.key: row.full_at for row in connection.execute(_STATES, {"keys": keys})}


def _save(connection: Connection, states: Mapping[str, float]) -> None:
    if states:
        put(connection, table, [{"key": key, "full_at": state} for key, state in sorted(states.items())])
