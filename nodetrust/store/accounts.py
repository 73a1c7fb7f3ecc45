"""Our accounts at the CAs."""

from sqlalchemy import Connection, delete, select

from nodetrust.store import rows
from nodetrust.store.schema import accounts
from nodetrust.store.tables import Tables, alone, first, put
from nodetrust.store.values import StoredAccount


class Accounts(Tables):
    """One account a CA."""

    async def account(self, directory_url: str) -> StoredAccount | None:
        """Our account at this CA."""
        query = select(accounts).where(accounts.c.directory_url == directory_url)
        found = await self._database.read(lambda connection: first(connection, query))
        return None if found is None else rows.account_from_row(found)

    async def first_account(self, account: StoredAccount) -> StoredAccount:
        """Keep the account unless one is known for this CA already; returns the one that is known now.

        So servers that start at the same moment on one store have one account.
        """
        query = select(accounts).where(accounts.c.directory_url == account.directory_url)

        def change(connection: Connection) -> StoredAccount:
            alone(connection)
            found = first(connection, query)
            if found is not None:
                return rows.account_from_row(found)
            put(connection, accounts, [rows.account_to_row(account)])
            return account

        return await self._database.write(change)

    async def save_account(self, account: StoredAccount) -> None:
        """Keep an account, in place of the one that was known for this CA."""
        row = rows.account_to_row(account)
        await self._database.write(lambda connection: put(connection, accounts, [row]))

    async def forget_account(self, directory_url: str) -> None:
        """The CA has ended the account: the next one there is a new one, with a key of its own."""
        statement = delete(accounts).where(accounts.c.directory_url == directory_url)
        await self._database.write(lambda connection: connection.execute(statement))
