"""An order that an earlier life, or another server, has left open."""

from __future__ import annotations

from datetime import timedelta

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from nodetrust.acme import AcmeError
from nodetrust.issue.authorities import Authority, Refusals
from nodetrust.issue.authorities.blame import leaves_order_open
from nodetrust.issue.orders.endings import Endings
from nodetrust.issue.orders.steps import Steps
from nodetrust.issue.orders.tools import Tools
from nodetrust.store import StoredCertificate, StoredOrder

LONGEST_OPEN = timedelta(days=1)
"""An order that is not finished by then is given up: challenges and keys are long forgotten."""


class Resuming:
    """Goes on with orders that are ours, from where the CA shows them to be."""

    log = Logger()

    def __init__(self, tools: Tools, endings: Endings) -> None:
        self._tools = tools
        self._endings = endings

    async def certificate(self, row: StoredOrder, csr_der: bytes | None = None) -> StoredCertificate | None:
        """None if nothing can come of the order any more.

        `csr_der`: of a peer that waits, for an order whose own key is lost. Without it nobody waits, and the order has
        a CSR. Raises `Refusal` and `StoreError`; then the order is left for a later try.
        """
        waited_for = csr_der is not None
        csr = row.request.csr_der or csr_der
        authority = next((one for one in self._tools.authorities if one.directory_url == row.directory_url), None)
        if authority is None or csr is None or self._tools.now() - row.opened_at > LONGEST_OPEN:
            await self._endings.end(row, row.records)
            return None
        if (wait := authority.seconds_to_wait(self._tools.seconds())) > 0:
            if waited_for and self._tools.another_than(authority):
                await self._endings.end(row, row.records)
                return None
            self._endings.leave(row)
            refusals = Refusals()
            refusals.busy(authority.directory_url, authority.reason, wait)
            raise refusals.error()
        self._endings.take_up(row)
        authority.begin()
        try:
            return await self._carry_on(authority, Steps(self._tools, authority, row, csr), waited_for=waited_for)
        finally:
            authority.released()

    async def _carry_on(self, authority: Authority, steps: Steps, *, waited_for: bool) -> StoredCertificate | None:
        names = steps.row.request.names
        began = self._tools.seconds()
        try:
            return await self._endings.run(steps)
        except AcmeError as error:
            wait_seconds = await authority.failed(names, error, began)
            if not leaves_order_open(error) or (waited_for and self._tools.another_than(authority)):
                await self._endings.end(steps.row, steps.records)
                self.log.warn(
                    "an order for {names} that was left open came to nothing: {reason}",
                    names=", ".join(names),
                    reason=str(error),
                )
                return None
            self._endings.leave_after(steps, error, began)
            refusals = Refusals()
            refusals.failed(authority.directory_url, str(error), wait_seconds)
            raise refusals.error() from error
        except CancelledError:
            raise  # the row is for the next life
        except Exception as error:
            self._endings.rest(steps, error)
            raise
