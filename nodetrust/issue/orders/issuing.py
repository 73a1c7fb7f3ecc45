"""From an order to a certificate, whoever else may be at work on the same: earlier lives, other servers."""

from __future__ import annotations

from twisted.internet.task import deferLater

from nodetrust.issue.decide import Order
from nodetrust.issue.errors import Unavailable
from nodetrust.issue.orders.cache import Cache
from nodetrust.issue.orders.cleaning import Cleaning
from nodetrust.issue.orders.placing import Found, Placing
from nodetrust.issue.orders.requests import request_of
from nodetrust.issue.orders.resuming import Resuming
from nodetrust.issue.orders.steps import ORDER_SECONDS
from nodetrust.issue.orders.tools import Tools
from nodetrust.store import OrderIsOpen, StoredOrder

FIRST_LOOK_SECONDS, SLOWEST_LOOK_SECONDS, LOOK_GROWTH = 0.2, 2.0, 1.5
"""How often it is looked what another server has made of an order for the same."""

ELSEWHERE_RETRY_SECONDS = 30.0


class Issuing:
    """Places an order, goes on with the open one for the same, or waits for the server that works on it."""

    def __init__(self, tools: Tools, cache: Cache, placing: Placing, resuming: Resuming, cleaning: Cleaning) -> None:
        self._tools = tools
        self._cache = cache
        self._placing = placing
        self._resuming = resuming
        self._cleaning = cleaning

    async def certificate(self, order: Order, csr_der: bytes) -> Found:
        """The certificate for the CSR, which is the order's or was made for it, and whether it was there already.

        Raises `Refusal`, and `StoreError`.
        """
        give_up = self._tools.seconds() + ORDER_SECONDS
        while True:
            try:
                return await self._placing.certificate(order, csr_der)
            except OrderIsOpen as found:
                row = found.order
            certificate = await self._from_open(order, row, csr_der, give_up)
            if certificate is not None:
                return certificate

    async def _from_open(self, order: Order, row: StoredOrder | None, csr_der: bytes, give_up: float) -> Found | None:
        """What comes of the open order `row`; None if it is not open any more, and nothing has come of it."""
        tools = self._tools
        pause = FIRST_LOOK_SECONDS
        while row is not None:
            claimed = await tools.store.claim_order(row.id, tools.epoch, tools.now())
            if claimed is not None and claimed.settled:
                self._cleaning.begin(claimed.id, claimed.records)
            elif claimed is not None:
                certificate = await self._resuming.certificate(claimed, csr_der)
                return None if certificate is None else (certificate, False)
            if tools.seconds() + pause > give_up:
                raise Unavailable("another issue server works on it", retry_after_seconds=ELSEWHERE_RETRY_SECONDS)
            await deferLater(tools.reactor, pause)
            pause = min(pause * LOOK_GROWTH, SLOWEST_LOOK_SECONDS)
            ready = await self._cache.find(order, tools.now())
            if ready is not None:
                return ready, True
            row = await tools.store.open_order_for(request_of(order).same)
        return None
