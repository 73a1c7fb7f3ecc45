"""The CAs that failed us, and until when each is left alone."""

from sqlalchemy import delete, select

from nodetrust.store import rows
from nodetrust.store.schema import troubles
from nodetrust.store.tables import Tables, first, put
from nodetrust.store.values import StoredTrouble


class Troubles(Tables):
    """At most one trouble a CA."""

    async def trouble(self, directory_url: str) -> StoredTrouble | None:
        """The trouble with this CA, also when its pause is over."""
        query = select(troubles).where(troubles.c.directory_url == directory_url)
        found = await self._database.read(lambda connection: first(connection, query))
        return None if found is None else rows.trouble_from_row(found)

    async def save_trouble(self, trouble: StoredTrouble) -> None:
        """Keep a trouble, in place of the one that was known with this CA."""
        row = rows.trouble_to_row(trouble)
        await self._database.write(lambda connection: put(connection, troubles, [row]))

    async def forget_trouble(self, directory_url: str) -> None:
        """The CA works again."""
        statement = delete(troubles).where(troubles.c.directory_url == directory_url)
        await self._database.write(lambda connection: connection.execute(statement))
