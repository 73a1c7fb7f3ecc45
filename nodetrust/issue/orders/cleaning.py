"""The end of an order's row: its challenges are withdrawn everywhere, then it is forgotten."""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.errors import NodetrustError
from nodetrust.issue.orders.tools import Challenges
from nodetrust.store import Store

Records = Collection[tuple[str, str]]


class Cleaning:
    """Runs beside what goes on; what could not be done yet is tried again at each `again`."""

    log = Logger()

    def __init__(self, store: Store, dns: Challenges) -> None:
        self._store = store
        self._dns = dns
        self._undone: dict[int, Records] = {}
        self._running: set[int] = set()
        self._waiting: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._undone)

    def begin(self, order_id: int, records: Records) -> None:
        """The order is settled: withdraw its records, and forget it."""
        self._undone[order_id] = records
        self._start(order_id)

    def again(self) -> None:
        """Try once more what is left; a DNS server was out of reach, or the store."""
        for order_id in list(self._undone):
            self._start(order_id)

    def ended(self) -> Deferred[None]:
        """Fires when nothing runs."""
        ended: Deferred[None] = Deferred()
        if self._running:
            self._waiting.append(ended)
        else:
            ended.callback(None)
        return ended

    def _start(self, order_id: int) -> None:
        if order_id not in self._running:
            self._running.add(order_id)
            Deferred.fromCoroutine(self._clean(order_id)).addErrback(self._failed).addBoth(self._over, order_id)

    def _over(self, _: object, order_id: int) -> None:
        self._running.discard(order_id)
        if not self._running:
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                one.callback(None)

    async def _clean(self, order_id: int) -> None:
        records = sorted(self._undone[order_id])
        if records:
            await self._dns.withdraw(records)
            if self._dns.owes(records):
                return  # the row tells the next life to withdraw them, should there be one before that is done
        await self._store.forget_order(order_id)
        del self._undone[order_id]

    def _failed(self, failure: Failure) -> None:
        if failure.check(NodetrustError):
            self.log.warn("an order's end could not be noted yet: {reason}", reason=failure.getErrorMessage())
        elif not failure.check(CancelledError):
            self.log.failure("cleaning up after an order has failed, which is a bug", failure=failure)
