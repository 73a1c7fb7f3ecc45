"""`Store`: what must outlive a restart. Its methods return when the database, on another thread, has answered."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete

from nodetrust.renewal import RENEWABLE
from nodetrust.store.accounts import Accounts
from nodetrust.store.certificates import Certificates
from nodetrust.store.database import Database
from nodetrust.store.engine import parse_url
from nodetrust.store.orders import Orders
from nodetrust.store.proofs import Proofs
from nodetrust.store.quotas import Quotas
from nodetrust.store.registrations import Registrations
from nodetrust.store.schema import certificates, orders, proofs, quotas, servers
from nodetrust.store.secrets import Secrets
from nodetrust.store.servers import Servers, is_steady
from nodetrust.store.troubles import Troubles
from nodetrust.store.values import Cleared

KEPT_SECONDS = 30 * 86400
"""Orders and servers of which nothing was heard for so long are of no use: a CA's orders end after a week."""


class Store(Accounts, Certificates, Orders, Proofs, Quotas, Registrations, Secrets, Servers, Troubles):
    """Made with `open`; whoever opened it closes it.

    Everything raises `StoreError`, and nothing else but what a method names. It answers within
    `lane.ANSWER_SECONDS`, whatever the database does.
    """

    @classmethod
    async def open(cls, reactor: Any, url: str) -> "Store":
        """Open a database, and bring its tables up to date.

        `sqlite:////absolute/path` (the file gets mode 0600, a new folder 0700; several processes may open it),
        `sqlite://` (memory), or `postgresql+psycopg://…`, which several machines may share.
        """
        return cls(await Database.open(reactor, parse_url(url)))

    async def close(self) -> None:
        """Finish what was asked for and close the connections; a second time it does nothing."""
        await self._database.close()

    async def clear(self, now: datetime) -> Cleared:
        """Delete what is over: to be called on a timer.

        Used proofs are deleted when they end. Everything else waits until a server has lived (`Servers.beat`) for a
        day in which the clock did not jump: a clock that is wrong for some hours must not cost certificates, nor give
        quotas back. Certificates are deleted when they end; the newest for its names only when an order for these
        would be no renewal any more.
        """
        seconds = now.timestamp()

        def change(connection: Connection) -> Cleared:
            def deleted(table: Any, *conditions: Any) -> int:
                return connection.execute(delete(table).where(*conditions)).rowcount

            ended_proofs = deleted(proofs, proofs.c.until < seconds)
            if not is_steady(connection, now):
                return Cleared(proofs=ended_proofs)
            long_ago = seconds - KEPT_SECONDS
            return Cleared(
                certificates=deleted(
                    certificates,
                    certificates.c.not_after < seconds,
                    ~certificates.c.is_newest | (certificates.c.not_before < seconds - RENEWABLE.total_seconds()),
                ),
                orders=deleted(orders, orders.c.opened_at < long_ago),
                proofs=ended_proofs,
                quotas=deleted(quotas, quotas.c.full_at <= seconds),
                servers=deleted(servers, servers.c.beat_at < long_ago),
            )

        return await self._database.write(change)
