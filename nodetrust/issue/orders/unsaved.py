"""Certificates that the CA has given and the store could not take: they are handed out, and stored when it is back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from twisted.logger import Logger

from nodetrust.quotas import Draw
from nodetrust.store import Store, StoredCertificate, StoreError

MAX_UNSAVED = 1000
"""Some 10 MB. No order is opened while the store is away, so they are at most those that were open."""


@dataclass(frozen=True, slots=True)
class _Unsaved:
    order_id: int
    certificate: StoredCertificate
    refund: tuple[Draw, ...]
    records: tuple[tuple[str, str], ...]


class Unsaved:
    """Keeps them in memory and in order."""

    log = Logger()

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Unsaved] = []

    def __len__(self) -> int:
        return len(self._waiting)

    async def settle(
        self,
        order_id: int,
        certificate: StoredCertificate,
        refund: Sequence[Draw],
        records: Sequence[tuple[str, str]],
        now: datetime,
    ) -> bool:
        """Store the certificate and settle its order, now (True) or when the store can; `records`: still published."""
        try:
            await self._store.settle_order(order_id, certificate, refund, now)
        except StoreError as error:
            self.log.error(
                "a certificate for {names} could not be stored yet: {reason}",
                names=", ".join(certificate.names),
                reason=str(error),
            )
            self._waiting.append(_Unsaved(order_id, certificate, tuple(refund), tuple(records)))
            del self._waiting[:-MAX_UNSAVED]
            return False
        return True

    def newest(self, peer_id: bytes, names: Collection[str], public_key_sha256: bytes) -> StoredCertificate | None:
        """As `Store.newest_certificate`, of what is here."""
        wanted = (peer_id, tuple(sorted(names)), public_key_sha256)
        for one in reversed(self._waiting):
            found = one.certificate
            if (found.peer_id, tuple(sorted(found.names)), found.public_key_sha256) == wanted:
                return found
        return None

    async def save(self, now: datetime) -> list[tuple[int, tuple[tuple[str, str], ...]]]:
        """Try all once more, until one fails; the orders that are settled now, with their records."""
        settled = []
        while self._waiting:
            one = self._waiting[0]
            try:
                await self._store.settle_order(one.order_id, one.certificate, one.refund, now)
            except StoreError:
                break
            self._waiting.remove(one)
            settled.append((one.order_id, one.records))
        if settled:
            self.log.info("{count} certificates that had to wait are stored", count=len(settled))
        return settled
