"""Certificates that a peer has already: it gets the same one again until that is due to be renewed."""

from __future__ import annotations

import hashlib
from datetime import datetime

from nodetrust.issue.decide import Order
from nodetrust.issue.orders.unsaved import Unsaved
from nodetrust.issue.renewal import is_due
from nodetrust.store import Store, StoredCertificate


class Cache:
    """Looks in memory and in the store."""

    def __init__(self, store: Store, unsaved: Unsaved) -> None:
        self._store = store
        self._unsaved = unsaved

    async def find(self, order: Order, now: datetime) -> StoredCertificate | None:
        """The newest for the same peer, names and key, unless it is due; without a CSR there is none, for its key is
        forgotten. Raises `StoreError`.
        """
        if order.csr is None:
            return None
        fingerprint = hashlib.sha256(order.csr.public_key_der).digest()
        found = self._unsaved.newest(order.peer.multihash, order.names, fingerprint)
        if found is None:
            found = await self._store.newest_certificate(order.peer.multihash, order.names, fingerprint, now)
        return None if found is None or is_due(found, found.renew_at, now) else found
