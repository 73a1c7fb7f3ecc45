"""What becomes of an order's row: its certificate, its end, or another try later."""

from __future__ import annotations

from collections.abc import Sequence

from nodetrust.acme import AcmeError
from nodetrust.issue.authorities import PauseBook
from nodetrust.issue.errors import Unavailable
from nodetrust.issue.orders.cleaning import Cleaning
from nodetrust.issue.orders.requests import certificate_of
from nodetrust.issue.orders.steps import Steps
from nodetrust.issue.orders.tools import Tools
from nodetrust.issue.orders.unsaved import Unsaved
from nodetrust.quotas import Draw
from nodetrust.store import StoredCertificate, StoredOrder, StoreError

OURS_RETRY_SECONDS = 10.0
"""An order that a DNS server or the store has stopped: its peer may ask again so soon, and the CA is hardly asked."""


class Endings:
    """Of the orders of this process; it knows which of them were left for a later try."""

    def __init__(self, tools: Tools, unsaved: Unsaved, cleaning: Cleaning) -> None:
        self._tools = tools
        self._unsaved = unsaved
        self._cleaning = cleaning
        self._pauses = PauseBook()
        self._left: set[int] = set()

    async def run(self, steps: Steps, refund: Sequence[Draw] = ()) -> StoredCertificate:
        """Run the steps, and keep the certificate; `refund` is what such an order gives back. Raises as `Steps.run`."""
        certificate = certificate_of(steps.row, await steps.run())
        if await self._unsaved.settle(steps.row.id, certificate, refund, steps.records, self._tools.now()):
            self._cleaning.begin(steps.row.id, steps.records)
        self.forget(steps.row.id)
        await steps.authority.worked(certificate.names)
        return certificate

    async def end(self, row: StoredOrder, records: Sequence[tuple[str, str]], refund: Sequence[Draw] = ()) -> None:
        """The order has come to nothing; others may be opened for the same. Raises `StoreError`."""
        try:
            await self._tools.store.settle_order(row.id, None, refund, self._tools.now())
        except StoreError:
            self._left.add(row.id)
            raise
        self.forget(row.id)
        self._cleaning.begin(row.id, records)

    def leave(self, row: StoredOrder) -> None:
        """Leave the order open for a later try, when the peer asks again or by itself."""
        self._left.add(row.id)

    def leave_after(self, steps: Steps, error: AcmeError, began: float) -> None:
        """The same after a try that `began` then and failed at the CA: later each time."""
        self._pauses.failed(steps.row.id, began, self._tools.seconds(), str(error))
        self._left.add(steps.row.id)

    def rest(self, steps: Steps, error: Exception) -> None:
        """The same where the fault was ours, a DNS server's or the store's: soon."""
        self._pauses.rest(steps.row.id, OURS_RETRY_SECONDS, self._tools.seconds(), str(error))
        self._left.add(steps.row.id)

    def take_up(self, row: StoredOrder) -> None:
        """The order is about to be tried again. Raises `Unavailable` where it is too early; then it stays left."""
        pause = self._pauses.get(row.id)
        if pause is not None and (seconds := pause.seconds_left(self._tools.seconds())) > 0:
            self._left.add(row.id)
            raise Unavailable(f"the order is tried again later: {pause.reason}", retry_after_seconds=seconds)
        self._left.discard(row.id)

    def due(self) -> list[int]:
        """The orders that were left for a later try, and whose time has come."""
        now = self._tools.seconds()
        return [one for one in self._left if (p := self._pauses.get(one)) is None or not p.seconds_left(now)]

    def forget(self, order_id: int) -> None:
        """This order is not left any more."""
        self._left.discard(order_id)
        self._pauses.forget(order_id)
