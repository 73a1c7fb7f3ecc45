"""Orders at the CAs: each belongs to one server, which writes down every step before it relies on it.

Two that write at the same time do it one after the other (`tables.alone`), and the database itself refuses a second
open order for the same.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, true, update

from nodetrust.quotas import Draw
from nodetrust.store import quotas, rows
from nodetrust.store.certificates import add_certificate
from nodetrust.store.errors import OrderIsOpen, OrderTaken
from nodetrust.store.schema import is_open, orders, servers
from nodetrust.store.servers import is_living
from nodetrust.store.tables import Tables, alone, every, first
from nodetrust.store.values import OrderRequest, StoredCertificate, StoredOrder


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
            found = first(connection, _open_for(request.same))
            if found is not None:
                raise OrderIsOpen(rows.order_from_row(found), _is_owned_by_living(connection, found, epoch, now))
            quotas.spend(connection, draws, now)
            number = connection.execute(insert(orders).values(row).returning(orders.c.id)).scalar_one()
            return rows.order_from_row({**row, "id": number})

        return await self._database.write(change)

    async def open_order_for(self, same: bytes) -> StoredOrder | None:
        """The unfinished order for the same, whoever works on it."""
        found = await self._database.read(lambda connection: first(connection, _open_for(same)))
        return None if found is None else rows.order_from_row(found)

    async def claim_order(self, id: int, epoch: bytes, now: datetime) -> StoredOrder | None:
        """Make the order ours. None: another server that lives has it, or it is gone."""

        def change(connection: Connection) -> StoredOrder | None:
            alone(connection)
            found = first(connection, select(orders).where(orders.c.id == id))
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
            settle = update(orders).where(orders.c.id == id).where(~orders.c.settled).values(settled=True)
            if connection.execute(settle).rowcount:
                quotas.refund(connection, refund, now)

        await self._database.write(change)

    async def forget_order(self, id: int) -> None:
        """Nothing is left to be done for it."""
        statement = delete(orders).where(orders.c.id == id)
        await self._database.write(lambda connection: connection.execute(statement))

    async def _note(self, id: int, epoch: bytes | None, step: Mapping[str, Any]) -> None:
        statement = update(orders).where(orders.c.id == id).where(_is_owned_by(epoch)).values(**step)

        def change(connection: Connection) -> None:
            if not connection.execute(statement).rowcount:
                raise OrderTaken(f"order {id} is not ours any more")

        await self._database.write(change)


def _open_for(same: bytes) -> Any:
    return select(orders).where(orders.c.same == same).where(is_open)


def _is_owned_by(epoch: bytes | None) -> ColumnElement[bool]:
    return true() if epoch is None else orders.c.owner == epoch


def _is_owned_by_living(connection: Connection, row: rows.Row, epoch: bytes, now: datetime) -> bool:
    owner = bytes(row["owner"])
    query = select(servers.c.epoch).where(servers.c.epoch == owner).where(is_living(now))
    return owner != epoch and first(connection, query) is not None


def _claim(connection: Connection, row: rows.Row, epoch: bytes) -> StoredOrder:
    connection.execute(update(orders).where(orders.c.id == row["id"]).values(owner=epoch))
    return rows.order_from_row(row)
