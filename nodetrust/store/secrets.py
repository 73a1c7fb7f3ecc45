"""Secrets that servers on one store have in common."""

from sqlalchemy import Connection, select

from nodetrust.store.schema import secrets
from nodetrust.store.tables import Tables, add, alone, first


class Secrets(Tables):
    """By name; none is ever changed."""

    async def secret(self, name: str, new: bytes) -> bytes:
        """The secret of this name: `new`, if there was none."""
        query = select(secrets.c.secret).where(secrets.c.name == name)

        def change(connection: Connection) -> bytes:
            alone(connection)
            add(connection, secrets, {"name": name, "secret": new})
            found = first(connection, query)
            return new if found is None else bytes(found["secret"])

        return await self._database.write(change)
