"""What AutoTLS brokers have set for peers, and how their last dial-back went."""

from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select

from nodetrust.store import rows
from nodetrust.store.schema import dialbacks, quotas, registrations
from nodetrust.store.tables import Tables, alone, every, first, put
from nodetrust.store.values import StoredDialback, StoredRegistration

_NEWEST_FIRST = (
    select(registrations)
    .where(registrations.c.peer_id == bindparam("peer_id"))
    .order_by(registrations.c.set_at.desc(), registrations.c.value)
)


class Registrations(Tables):
    """A few values a peer, until they end or are taken back."""

    async def register(
        self, registration: StoredRegistration, most: int, dialback: StoredDialback
    ) -> list[StoredRegistration]:
        """Keep a value beside the peer's others, of which `most` stay, and the dial-back that it was set after.

        Returns those that had to give way.
        """
        row, dialback_row = rows.registration_to_row(registration), rows.dialback_to_row(dialback)

        def change(connection: Connection) -> list[StoredRegistration]:
            alone(connection)
            put(connection, dialbacks, [dialback_row])
            put(connection, registrations, [row])
            found = _of(connection, registration.peer_id)
            # The one of now stays, whatever the clocks of those who set the others said.
            others = [one for one in found if one.value != registration.value]
            _delete(connection, others[most - 1 :])
            return others[most - 1 :]

        return await self._database.write(change)

    async def registrations(self, peer_id: bytes) -> list[StoredRegistration]:
        """What is kept for the peer, the newest first."""
        return await self._database.read(lambda connection: _of(connection, peer_id))

    async def unregister(self, gone: list[StoredRegistration]) -> None:
        """Forget these."""
        await self._database.write(lambda connection: _delete(connection, gone))

    async def ended_registrations(self, now: datetime, most: int) -> list[StoredRegistration]:
        """Those whose time is up."""
        query = select(registrations).where(registrations.c.until <= now.timestamp()).limit(most)
        found = await self._database.read(lambda connection: every(connection, query))
        return [rows.registration_from_row(row) for row in found]

    async def save_dialback(self, dialback: StoredDialback) -> None:
        """Keep it in place of the peer's last one."""
        row = rows.dialback_to_row(dialback)
        await self._database.write(lambda connection: put(connection, dialbacks, [row]))

    async def dialback(self, peer_id: bytes) -> StoredDialback | None:
        """The peer's last one."""
        query = select(dialbacks).where(dialbacks.c.peer_id == peer_id)
        found = await self._database.read(lambda connection: first(connection, query))
        return None if found is None else rows.dialback_from_row(found)

    async def clear_dialbacks(self, before: datetime, prefix: str, now: datetime) -> None:
        """Forget dial-backs from before then, and buckets whose key begins with `prefix` that are full again."""

        def change(connection: Connection) -> None:
            connection.execute(delete(dialbacks).where(dialbacks.c.dialled_at < before.timestamp()))
            full = quotas.c.full_at <= now.timestamp()
            connection.execute(delete(quotas).where(full, quotas.c.key.startswith(prefix, autoescape=True)))

        await self._database.write(change)


def _of(connection: Connection, peer_id: bytes) -> list[StoredRegistration]:
    found = every(connection, _NEWEST_FIRST, {"peer_id": peer_id})
    return [rows.registration_from_row(row) for row in found]


def _delete(connection: Connection, gone: list[StoredRegistration]) -> None:
    for one in gone:
        statement = delete(registrations).where(registrations.c.peer_id == one.peer_id)
        # What was set again meanwhile has another time.
        same = registrations.c.until == rows.registration_to_row(one)["until"]
        connection.execute(statement.where(registrations.c.value == one.value, same))
