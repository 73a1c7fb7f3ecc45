"""Proofs that were used: each is good for one certificate, at all servers together."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete

from nodetrust.store import rows
from nodetrust.store.schema import proofs
from nodetrust.store.tables import Tables, add

_DELETE = delete(proofs).where(proofs.c.digest == bindparam("one"))
_DELETE_ENDED = _DELETE.where(proofs.c.until < bindparam("now"))


class Proofs(Tables):
    """Digests of used proofs, each kept until nobody would take the proof any more."""

    async def use_proofs(self, digests: Collection[bytes], until: datetime, now: datetime) -> frozenset[bytes]:
        """Those that were used before; the others are used from now on, `until` then."""

        def use(connection: Connection) -> frozenset[bytes]:
            ended = rows.seconds_of(now)
            used = set()
            # In one order everywhere, so that two servers never wait for each other.
            for digest in sorted(set(digests)):
                connection.execute(_DELETE_ENDED, {"one": digest, "now": ended})
                if not add(connection, proofs, {"digest": digest, "until": rows.seconds_of(until)}):
                    used.add(digest)
            return frozenset(used)

        return await self._database.write(use)

    async def unuse_proofs(self, digests: Collection[bytes]) -> None:
        """They may be used again: what they were used for has failed, and by no fault of the peer."""

        def unuse(connection: Connection) -> None:
            for digest in sorted(set(digests)):
                connection.execute(_DELETE, {"one": digest})

        await self._database.write(unuse)
