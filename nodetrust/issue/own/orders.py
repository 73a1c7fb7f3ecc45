"""The issue server's own certificate comes from its own orders."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from nodetrust.certificates import CertificateKey, Chain, make_csr
from nodetrust.issue.decide import Order
from nodetrust.issue.keys import read_csr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import IssueResponse
from nodetrust.own.upkeep import CRYPTO
from nodetrust.store import StoredCertificate, StoreError

Fulfil = Callable[[Order], Awaitable[IssueResponse]]


class KeepsCertificates(Protocol):
    """The store, as far as it matters here."""

    async def newest_for_names(self, peer_id: bytes, names: Sequence[str]) -> StoredCertificate | None:
        """The newest certificate for exactly these names; raises `StoreError`."""


class OwnOrders:
    """Orders for `peer`, who is the issue server itself."""

    def __init__(self, peer: PeerId, store: KeepsCertificates, fulfil: Fulfil) -> None:
        self._peer = peer
        self._store = store
        self._fulfil = fulfil

    async def order(self, names: Sequence[str], key: CertificateKey) -> Chain:
        """Raises `Refusal`."""
        csr = read_csr(make_csr(key, names), [CRYPTO])
        response = await self._fulfil(Order(self._peer, tuple(names), (), CRYPTO, csr, names[0], own=True))
        return Chain.from_pem(response.chain)

    async def renew_at(self, names: Sequence[str], chain: Chain) -> datetime | None:
        """What the CA has said when it was last asked."""
        try:
            stored = await self._store.newest_for_names(self._peer.multihash, names)
        except StoreError:  # who needs the store says so
            return None
        return stored.renew_at if stored is not None and stored.certificate_pem == chain.leaf_pem else None
