"""Certificates that peers were given."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, insert, select, update

from nodetrust.store import rows
from nodetrust.store.schema import certificates
from nodetrust.store.tables import Tables, every, first
from nodetrust.store.values import StoredCertificate

_NEWEST = select(certificates).order_by(certificates.c.not_after.desc(), certificates.c.id.desc()).limit(1)

# Made once: SQLAlchemy takes three times as long to make a statement as SQLite to answer it.
_OF_PEER = _NEWEST.where(certificates.c.peer_id == bindparam("peer_id"))
_FOR_NAMES = _OF_PEER.where(certificates.c.names == bindparam("names"))
_FOR_KEY = _FOR_NAMES.where(
    certificates.c.public_key_sha256 == bindparam("public_key_sha256"),
    certificates.c.not_after > bindparam("valid_until"),
)

_PEMS_OF_KEY = select(certificates.c.certificate_pem, certificates.c.not_after).where(
    certificates.c.peer_id == bindparam("peer_id"),
    certificates.c.public_key_sha256 == bindparam("public_key_sha256"),
)
_LATER = select(certificates.c.id).where(
    certificates.c.peer_id == bindparam("peer_id"),
    certificates.c.names == bindparam("names"),
    certificates.c.crypto == bindparam("crypto"),
    certificates.c.not_after > bindparam("not_after"),
)
_REPLACE = (
    update(certificates)
    .where(
        certificates.c.peer_id == bindparam("of_peer"),
        certificates.c.names == bindparam("of_names"),
        certificates.c.crypto == bindparam("of_crypto"),
    )
    .values(is_newest=False)
)
_INSERT = insert(certificates)


class Certificates(Tables):
    """Several a peer; of those that have ended, the newest for its names is there for a while (`Store.clear`)."""

    async def save_certificate(self, certificate: StoredCertificate) -> None:
        """Keep a certificate beside those that are there."""
        await self._database.write(lambda connection: add_certificate(connection, certificate))

    async def newest_certificate(
        self, peer_id: bytes, names: Iterable[str], public_key_sha256: bytes, valid_until: datetime
    ) -> StoredCertificate | None:
        """This peer's certificate for exactly these names and this key that ends last, and after `valid_until`."""
        return await self._newest(
            _FOR_KEY,
            peer_id=peer_id,
            names=rows.names_to_column(names),
            public_key_sha256=public_key_sha256,
            valid_until=rows.seconds_of(valid_until),
        )

    async def newest_for_names(self, peer_id: bytes, names: Iterable[str]) -> StoredCertificate | None:
        """This peer's certificate for exactly these names that ends last, whatever its key: what a renewal replaces."""
        return await self._newest(_FOR_NAMES, peer_id=peer_id, names=rows.names_to_column(names))

    async def newest_of_peer(self, peer_id: bytes) -> StoredCertificate | None:
        """This peer's certificate that ends last."""
        return await self._newest(_OF_PEER, peer_id=peer_id)

    async def certificates_to_check(self, checked_before: datetime, most: int) -> list[StoredCertificate]:
        """Certificates whose renewal the CA was not asked about since then, those that waited longest first.

        Without those that had ended by then or were revoked, and those that a later one for the same peer, names and
        algorithm has replaced already.
        """
        query = (
            select(certificates)
            .where(certificates.c.is_newest)
            .where(~certificates.c.revoked)
            .where(certificates.c.ari_checked_at < rows.seconds_of(checked_before))
            .where(certificates.c.not_after > rows.seconds_of(checked_before))
            .order_by(certificates.c.ari_checked_at, certificates.c.id)
            .limit(most)
        )
        found = await self._database.read(lambda connection: every(connection, query))
        return [rows.certificate_from_row(row) for row in found]

    async def save_renewal(self, id: int, renew_at: datetime | None, checked_at: datetime) -> None:
        """What the CA said about the renewal of the certificate with this `StoredCertificate.id`, and when.

        None: it has said nothing, and what was known stays. So does all about one that was revoked meanwhile.
        """
        values = {"ari_checked_at": rows.seconds_of(checked_at)}
        if renew_at is not None:
            values["renew_at"] = rows.seconds_of(renew_at)
        statement = update(certificates).where(certificates.c.id == id).where(~certificates.c.revoked).values(values)
        await self._database.write(lambda connection: connection.execute(statement))

    async def save_revocation(self, certificate_pem: bytes, now: datetime) -> None:
        """This one (PEM, as it was saved) is due from now on, whatever the CA says about its renewal.

        So it is handed out no more, and its peer is told.
        """
        statement = (
            update(certificates)
            .where(certificates.c.certificate_pem == certificate_pem)
            .values(revoked=True, renew_at=rows.seconds_of(now))
        )
        await self._database.write(lambda connection: connection.execute(statement))

    async def check_again(self, checked_after: datetime) -> int:
        """Have the CA asked again about those that say a time after this one; how many they are.

        With a time that is yet to come: the clock was set back since, and nobody would ask until then.
        """
        statement = (
            update(certificates)
            .where(certificates.c.is_newest)
            .where(certificates.c.ari_checked_at > rows.seconds_of(checked_after))
            .values(ari_checked_at=0)
        )
        return await self._database.write(lambda connection: connection.execute(statement).rowcount)

    async def count_due_early(self, now: datetime) -> tuple[int, int]:
        """Of the newest certificates that are good: how many are to be renewed, though a third of their life is left.

        That is a CA's word, not their age. And how many good ones there are. Looks at all of them.
        """
        seconds = rows.seconds_of(now)
        third_left = certificates.c.not_after - (certificates.c.not_after - certificates.c.not_before) / 3
        query: Any = (
            select(
                func.count().filter(certificates.c.renew_at <= seconds, third_left > seconds).label("due"),
                func.count().label("good"),
            )
            .where(certificates.c.is_newest)
            .where(certificates.c.not_after > seconds)
        )
        found = await self._database.read(lambda connection: first(connection, query))
        return (0, 0) if found is None else (found["due"], found["good"])

    async def _newest(self, query: Select[Any], **parameters: object) -> StoredCertificate | None:
        found = await self._database.read(lambda connection: first(connection, query, parameters))
        return None if found is None else rows.certificate_from_row(found)


def add_certificate(connection: Connection, certificate: StoredCertificate) -> None:
    """Insert it if it is not there already, and mark those that it replaces."""
    row = rows.certificate_to_row(certificate)
    if any(known.items() <= row.items() for known in every(connection, _PEMS_OF_KEY, row)):
        return
    is_newest = first(connection, _LATER, row) is None
    if is_newest:
        replaced = {"of_peer": row["peer_id"], "of_names": row["names"], "of_crypto": row["crypto"]}
        connection.execute(_REPLACE, replaced)
    connection.execute(_INSERT, {**row, "is_newest": is_newest})
