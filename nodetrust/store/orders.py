"""Orders at the CAs: each belongs to one server, which writes down every step before it relies on it.

Two that write at the same time do it one after the other (`tables.alone`), and the database itself refuses a second
open order for the same.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from nodetrust.quotas import Draw
from nodetrust.store import quotas, rows
from nodetrust.store.certificates import add_certificate
from nodetrust.store.errors import OrderIsOpen, OrderTaken
from nodetrust.store.schema import is_open, orders, servers
from nodetrust.store.servers import is_living, lives
from nodetrust.store.tables import Tables, alone, every, first
from nodetrust.store.values import OrderRequest, StoredCertificate, StoredOrder

# Statements that are made once, as in `certificates`.
_OPEN_FOR = select(orders).where(orders.c.same == bindparam("same")).where(is_open)
_BY_ID = select(orders).where(orders.c.id == bindparam("order"))
_INSERT = insert(orders).returning(orders.c.id)
_NOTE = update(orders).where(orders.c.id == bindparam("order"))
_NOTE_OURS = _NOTE.where(orders.c.owner == bindparam("epoch"))
_SETTLE = _NOTE.where(~orders.c.settled).values(settled=True)
_FORGET = delete(orders).where(orders.c.id == bindparam("order"))
_SERVER = select(servers.c.beat_at).where(servers.c.epoch == bindparam("epoch"))


class Orders(Tables):
    """At most one open order for the same.

    The methods that note a step take the `epoch` that the order should belong to: where it is given and another server
    has taken the order up (because this one was thought dead), they raise `OrderTaken` and change nothing.
    """

    async def open_order(
        self,
        request: OrderRequest,
        directory_url: str,
        draws: Sequence[Draw],
        epoch: bytes,
        now: datetime,
        *,
        replaces: str | None = None,
    ) -> StoredOrder:
        """Spend the quotas and write the order down, or neither.

        Raises `OrderIsOpen` if there is an unfinished one for the same, and `quotas.Exhausted`.
        """
        row = {
            **rows.request_to_row(request),
            "directory_url": directory_url,
            "replaces": replaces,
            "owner": epoch,
            "opened_at": rows.seconds_of(now),
            "placing": False,
            "order_url": None,
            "records": rows.records_to_column(()),
            "settled": False,
        }

        def change(connection: Connection) -> StoredOrder:
            alone(connection)
            found = first(connection, _OPEN_FOR, {"same": request.same})
            if found is not None:
                raise OrderIsOpen(rows.order_from_row(found), _is_owned_by_living(connection, found, epoch, now))
            quotas.spend(connection, draws, now)
            number = connection.execute(_INSERT, row).scalar_one()
            return rows.order_from_row({**row, "id": number})

        return await self._database.write(change)

    async def open_order_for(self, same: bytes) -> StoredOrder | None:
        """The unfinished order for the same, whoever works on it."""
        found = await self._database.read(lambda connection: first(connection, _OPEN_FOR, {"same": same}))
        return None if found is None else rows.order_from_row(found)

    async def claim_order(self, id: int, epoch: bytes, now: datetime) -> StoredOrder | None:
        """Make the order ours. None: another server that lives has it, or it is gone."""

        def change(connection: Connection) -> StoredOrder | None:
            alone(connection)
            found = first(connection, _BY_ID, {"order": id})
            if found is None or _is_owned_by_living(connection, found, epoch, now):
                return None
            return _claim(connection, found, epoch)

        return await self._database.write(change)

    async def claim_abandoned(self, epoch: bytes, now: datetime, most: int) -> list[StoredOrder]:
        """Make the oldest orders of dead servers ours, also settled ones, whose records are still to be withdrawn."""
        living = select(servers.c.epoch).where(is_living(now))
        query = (
            select(orders)
            .where(orders.c.owner != epoch)
            .where(orders.c.owner.not_in(living))
            .order_by(orders.c.id)
            .limit(most)
        )

        def change(connection: Connection) -> list[StoredOrder]:
            alone(connection)
            return [_claim(connection, found, epoch) for found in every(connection, query)]

        return await self._database.write(change)

    async def note_placing(self, id: int, epoch: bytes | None = None) -> None:
        """The CA is about to be asked for the order."""
        await self._note(id, epoch, {"placing": True})

    async def note_placed(self, id: int, order_url: str, epoch: bytes | None = None) -> None:
        """The CA has the order, and calls it so."""
        await self._note(id, epoch, {"placing": False, "order_url": order_url})

    async def note_records(self, id: int, records: Sequence[tuple[str, str]], epoch: bytes | None = None) -> None:
        """These TXT records are about to be set; they replace what was noted before."""
        await self._note(id, epoch, {"records": rows.records_to_column(records)})

    async def settle_order(
        self, id: int, certificate: StoredCertificate | None, refund: Sequence[Draw], now: datetime
    ) -> None:
        """The order has ended: keep its certificate, if there is one, put quotas back, and let others open a new order.

        All or nothing. A certificate is kept whoever brings it; quotas go back once an order.
        """

        def change(connection: Connection) -> None:
            alone(connection)
            if certificate is not None:
                add_certificate(connection, certificate)
            if connection.execute(_SETTLE, {"order": id}).rowcount:
                quotas.refund(connection, refund, now)

        await self._database.write(change)

    async def forget_order(self, id: int) -> None:
        """Nothing is left to be done for it."""
        await self._database.write(lambda connection: connection.execute(_FORGET, {"order": id}))

    async def _note(self, id: int, epoch: bytes | None, step: Mapping[str, Any]) -> None:
        statement, ours = (_NOTE, {}) if epoch is None else (_NOTE_OURS, {"epoch": epoch})

        def change(connection: Connection) -> None:
            if not connection.execute(statement, {"order": id, **ours, **step}).rowcount:
                raise OrderTaken(f"order {id} is not ours any more")

        await self._database.write(change)


def _is_owned_by_living(connection: Connection, row: rows.Row, epoch: bytes, now: datetime) -> bool:
    owner = bytes(row["owner"])
    server = first(connection, _SERVER, {"epoch": owner})
    return owner != epoch and server is not None and lives(server["beat_at"], now)


def _claim(connection: Connection, row: rows.Row, epoch: bytes) -> StoredOrder:
    connection.execute(_NOTE, {"order": row["id"], "owner": epoch})
    return rows.order_from_row(row)
