"""The issue servers that share the store, and which of them live.

A server is known by its peer ID, and each of its processes by an epoch: random octets that it makes when it starts. It
is dead when its last beat is `SERVER_SECONDS` away, in either direction: the clocks of servers that share a store must
agree to a part of that, and a clock that jumped makes nobody immortal.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select, update
from twisted.logger import Logger

from nodetrust.store.schema import servers
from nodetrust.store.tables import Tables, alone, first, put

SERVER_SECONDS = 30.0

CLOCK_JUMP_SECONDS = 3600.0
"""From one beat to the next; a server that was down for so long begins anew, too."""

CLOCK_SKEW_SECONDS = 5.0
"""Between us and the database server: more is said in the log."""

STEADY_SECONDS = 86400.0
"""A clock that has gone on without a jump for so long is believed to say what is over, and may be deleted."""


class Servers(Tables):
    """One process a peer ID."""

    log = Logger()

    async def enter(self, server: bytes, epoch: bytes, now: datetime) -> None:
        """This process is now the one with this peer ID; orders of older ones of it can be taken up at once.

        The log says if our clock and the database server's are not the same.
        """

        def change(connection: Connection) -> float:
            alone(connection)
            _save_beat(connection, server, epoch, now)
            return _clock_of(connection, now)

        ahead = now.timestamp() - await self._database.write(change)
        if abs(ahead) > CLOCK_SKEW_SECONDS:
            self.log.warn(
                "this clock is {ahead:.0f} s ahead of the database's; servers that share a store need the same time",
                ahead=ahead,
            )

    async def beat(self, server: bytes, epoch: bytes, now: datetime) -> bool:
        """This process lives. False: another one took our identity, so that we must not order any more."""

        def change(connection: Connection) -> bool:
            alone(connection)
            found = first(connection, select(servers.c.epoch).where(servers.c.peer_id == server))
            if found is not None and bytes(found["epoch"]) != epoch:
                return False
            _save_beat(connection, server, epoch, now)
            return True

        return await self._database.write(change)

    async def leave(self, server: bytes, epoch: bytes, now: datetime) -> None:
        """This process ends: others may take up its orders at once, and need not wait until it counts as dead."""
        statement = (
            update(servers)
            .where(servers.c.peer_id == server)
            .where(servers.c.epoch == epoch)
            .values(beat_at=now.timestamp() - SERVER_SECONDS - 1)
        )
        await self._database.write(lambda connection: connection.execute(statement))

    async def living_servers(self, now: datetime) -> int:
        """How many servers work with this store now."""
        query = select(func.count().label("servers")).select_from(servers).where(is_living(now))
        found = await self._database.read(lambda connection: first(connection, query))
        return 0 if found is None else int(found["servers"])


def lives(beat_at: float, now: datetime) -> bool:
    """Whether the server with this last beat does."""
    return abs(now.timestamp() - beat_at) <= SERVER_SECONDS


def is_living(now: datetime) -> ColumnElement[bool]:
    """The condition on `servers` for those that live."""
    seconds = now.timestamp()
    return servers.c.beat_at.between(seconds - SERVER_SECONDS, seconds + SERVER_SECONDS)


def is_steady(connection: Connection, now: datetime) -> bool:
    """Whether a server that lives by this clock has seen it go on without a jump for long enough."""
    since = now.timestamp() - STEADY_SECONDS
    query = select(servers.c.epoch).where(is_living(now)).where(servers.c.steady_since <= since)
    return first(connection, query) is not None


def _clock_of(connection: Connection, ours: datetime) -> float:
    """The time by the database server, in seconds since 1970. SQLite is on our own machine."""
    if connection.dialect.name != "postgresql":
        return ours.timestamp()
    return float(connection.execute(select(func.extract("epoch", func.clock_timestamp()))).scalar_one())


def _save_beat(connection: Connection, server: bytes, epoch: bytes, now: datetime) -> None:
    seconds = now.timestamp()
    found = first(connection, select(servers).where(servers.c.peer_id == server))
    jumped = found is None or abs(seconds - found["beat_at"]) > CLOCK_JUMP_SECONDS
    row = {
        "peer_id": server,
        "epoch": epoch,
        "beat_at": seconds,
        "steady_since": seconds if jumped or found is None else found["steady_since"],
    }
    put(connection, servers, [row])
