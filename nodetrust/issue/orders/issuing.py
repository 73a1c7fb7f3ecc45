"""From an order to a certificate: at the first CA that gives one, from an order that was left open, or from another
server that works on the same."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nodetrust.acme import (
    AcmeError,
    AcmeProblem,
    AcmeRateLimited,
    AcmeUsageError,
    AcmeValidationFailed,
    IssuedCertificate,
    ari_id,
)
from nodetrust.issue import quota
from nodetrust.issue.authorities import Authority, PauseBook, Refusals
from nodetrust.issue.authorities.blame import leaves_order_open
from nodetrust.issue.decide import Order
from nodetrust.issue.errors import Unavailable
from nodetrust.issue.orders.cache import Cache
from nodetrust.issue.orders.cleaning import Cleaning
from nodetrust.issue.orders.requests import certificate_of, request_of
from nodetrust.issue.orders.steps import ORDER_SECONDS, Reached, Steps
from nodetrust.issue.orders.tools import Tools
from nodetrust.issue.orders.unsaved import Unsaved
from nodetrust.issue.renewal import Turns as RetryTurns
from nodetrust.quotas import Draw, Exhausted
from nodetrust.store import OrderIsOpen, StoredCertificate, StoredOrder, StoreError

LONGEST_OPEN = timedelta(days=1)
"""An order that is not finished by then is given up: challenges and keys are long forgotten."""

FIRST_LOOK_SECONDS, SLOWEST_LOOK_SECONDS, LOOK_GROWTH = 0.2, 2.0, 1.5
"""How often it is looked what another server has made of an order for the same."""

ELSEWHERE_RETRY_SECONDS = 30.0

OURS_RETRY_SECONDS = 10.0
"""An order that a DNS server or the store has stopped: its peer may ask again so soon, and the CA is hardly asked."""


class Issuing:
    """Orders certificates, one row of the store for each order."""

    log = Logger()

    def __init__(self, tools: Tools, cache: Cache, unsaved: Unsaved, cleaning: Cleaning) -> None:
        self._tools = tools
        self._store = tools.store
        self._cache = cache
        self._unsaved = unsaved
        self._cleaning = cleaning
        self._left = PauseBook()
        self._left_open: set[int] = set()
        self._retry_turns = RetryTurns()

    async def certificate(self, order: Order, csr_der: bytes) -> tuple[StoredCertificate, bool]:
        """The certificate for the CSR, which is the order's or was made for it, and whether it was there already.

        Raises `Refusal`, and `StoreError`.
        """
        give_up = self._seconds() + ORDER_SECONDS
        while True:
            try:
                return await self._order(order, csr_der)
            except OrderIsOpen as found:
                row: StoredOrder | None = found.order
                pause = FIRST_LOOK_SECONDS
            while row is not None:
                claimed = await self._store.claim_order(row.id, self._tools.epoch, self._tools.now())
                if claimed is not None and claimed.settled:
                    self._cleaning.begin(claimed.id, claimed.records)
                elif claimed is not None:
                    certificate = await self.take_up(claimed, csr_der)
                    if certificate is not None:
                        return certificate, False
                    break
                if self._seconds() + pause > give_up:
                    raise Unavailable("another issue server works on it", retry_after_seconds=ELSEWHERE_RETRY_SECONDS)
                await deferLater(self._tools.reactor, pause)
                pause = min(pause * LOOK_GROWTH, SLOWEST_LOOK_SECONDS)
                ready = await self._cache.find(order, self._tools.now())
                if ready is not None:
                    return ready, True
                row = await self._store.open_order_for(request_of(order).same)

    async def take_up(self, row: StoredOrder, csr_der: bytes | None = None) -> StoredCertificate | None:
        """Go on with an order that is ours, from where the CA shows it to be; None if nothing can come of it any more.

        `csr_der`: of a peer that waits, for an order whose own key is lost. Without it nobody waits, and the order has
        a CSR. Raises `Refusal` and `StoreError`; then the order is left for a later try.
        """
        waited_for = csr_der is not None
        csr = row.request.csr_der or csr_der
        authority = next((one for one in self._tools.authorities if one.directory_url == row.directory_url), None)
        if authority is None or csr is None or self._tools.now() - row.opened_at > LONGEST_OPEN:
            await self._end(row, row.records)
            return None
        names = row.request.names
        if (wait := authority.seconds_to_wait(self._seconds())) > 0:
            if waited_for and self._another(authority):
                await self._end(row, row.records)
                return None
            self._left_open.add(row.id)
            refusals = Refusals()
            refusals.busy(authority.directory_url, authority.reason, wait)
            raise refusals.error()
        pause = self._left.get(row.id)
        if pause is not None and (seconds := pause.seconds_left(self._seconds())) > 0:
            self._left_open.add(row.id)
            raise Unavailable(f"the order is tried again later: {pause.reason}", retry_after_seconds=seconds)
        self._left_open.discard(row.id)
        steps = self._steps(authority, row, csr)
        began = self._seconds()
        authority.begin()
        try:
            return await self._run(steps, None)
        except AcmeError as error:
            wait_seconds = await authority.failed(names, error, began)
            if not leaves_order_open(error) or (waited_for and self._another(authority)):
                await self._end(row, steps.records)
                self.log.warn(
                    "an order for {names} that was left open came to nothing: {reason}",
                    names=", ".join(names),
                    reason=str(error),
                )
                return None
            self._leave(steps, str(error), began)
            refusals = Refusals()
            refusals.failed(authority.directory_url, str(error), wait_seconds)
            raise refusals.error() from error
        except CancelledError:
            raise  # the row is for the next life
        except Exception as error:
            self._rest(steps, error)
            raise
        finally:
            authority.released()

    def due(self) -> list[int]:
        """The orders of ours that were left for a later try, and whose time has come."""
        now = self._seconds()
        return [one for one in self._left_open if (p := self._left.get(one)) is None or not p.seconds_left(now)]

    def forget_left(self, order_id: int) -> None:
        """This order is not left any more."""
        self._left_open.discard(order_id)
        self._left.forget(order_id)

    async def give_up(self, row: StoredOrder) -> None:
        """End an order of ours that nobody can finish."""
        await self._end(row, row.records)

    # A new order, at one CA after the other.

    async def _order(self, order: Order, csr_der: bytes) -> tuple[StoredCertificate, bool]:
        refusals = Refusals()
        for authority in self._tools.authorities:
            wait = authority.seconds_to_wait(self._seconds())
            if wait > 0:
                refusals.busy(authority.directory_url, authority.reason, wait)
                continue
            refused = authority.refused(order.names, self._seconds())
            if refused is not None:
                refusals.failed(authority.directory_url, refused.reason, refused.seconds_left(self._seconds()))
                continue
            authority.begin()
            try:
                found = await self._order_at(authority, order, csr_der, refusals)
            finally:
                authority.released()
            if found is not None:
                return found
        raise refusals.error()

    async def _order_at(
        self, authority: Authority, order: Order, csr_der: bytes, refusals: Refusals
    ) -> tuple[StoredCertificate, bool] | None:
        """None: this CA gives none, and `refusals` has heard why."""
        began = self._seconds()
        try:
            if authority.settings.challenge == "dns-01":
                self._tools.dns.check()
            await authority.ready()
            row, draws = await self._open(authority, order)
        except AcmeError as error:
            refusals.failed(authority.directory_url, str(error), await authority.failed(order.names, error, began))
            return None
        except Exhausted as error:
            if authority.directory_url not in error.limit.key:
                raise quota.refusal(error) from error
            wait = error.retry_after_seconds
            if not error.reserved:  # who asks for what is kept for others must not put off their turns
                chance = random.random()  # noqa: S311  # no secret: it spreads who comes back
                wait = self._retry_turns.seconds_to_turn(error.limit, wait, began, chance)
            refusals.busy(authority.directory_url, str(error), wait)
            return None
        ready = await self._cache.find(order, self._tools.now())
        if ready is not None:  # another server has finished with it a moment ago
            await self._end(row, (), draws.all)
            return ready, True
        return await self._run_new(authority, row, csr_der, draws, refusals)

    async def _run_new(
        self, authority: Authority, row: StoredOrder, csr_der: bytes, draws: quota.OrderDraws, refusals: Refusals
    ) -> tuple[StoredCertificate, bool] | None:
        names = row.request.names
        steps = self._steps(authority, row, csr_der)
        began = self._seconds()
        try:
            return await self._run(steps, draws), False
        except AcmeError as error:
            wait = await authority.failed(names, error, began)
            if isinstance(error, AcmeRateLimited):
                refusals.busy(authority.directory_url, str(error), wait or 0.0)
            else:
                refusals.failed(authority.directory_url, str(error), wait)
            if steps.reached is not Reached.NOTHING and leaves_order_open(error) and not self._another(authority):
                self._leave(steps, str(error), began)
            else:
                await self._end(row, steps.records, _unspent(draws, steps, error))
            if _is_peers_fault(error):
                raise refusals.error() from error
            return None
        except CancelledError:
            raise  # the row is for the next life
        except Exception as error:
            self._rest(steps, error)
            raise

    async def _open(self, authority: Authority, order: Order) -> tuple[StoredOrder, quota.OrderDraws]:
        now = self._tools.now()
        same = await self._store.newest_for_names(order.peer.multihash, order.names)
        newest = await self._store.newest_of_peer(order.peer.multihash)
        same = None if same is None or same.not_after <= now else same
        newest = None if newest is None or newest.not_after <= now else newest
        replaced = None if same is None or same.directory_url != authority.directory_url else same
        in_window = replaced is not None and replaced.ari_checked_at is not None and _is_over(replaced.renew_at, now)
        kind = quota.kind_of(authority.directory_url, same, newest, now, replaces=in_window)
        draws = quota.draws_of(order, kind, authority.settings, self._tools.settings)
        row = await self._store.open_order(
            request_of(order),
            authority.directory_url,
            draws.all,
            self._tools.epoch,
            now,
            replaces=None if replaced is None else _ari_id(replaced),
        )
        return row, draws

    # What is common to new orders and those that are taken up.

    def _steps(self, authority: Authority, row: StoredOrder, csr_der: bytes) -> Steps:
        return Steps(self._tools, authority, row, csr_der)

    async def _run(self, steps: Steps, draws: quota.OrderDraws | None) -> StoredCertificate:
        issued: IssuedCertificate = await steps.run()
        certificate = certificate_of(steps.row, issued)
        refund = () if draws is None else draws.unspent(quota.Ended.SIGNED)
        if await self._unsaved.settle(steps.row.id, certificate, refund, steps.records, self._tools.now()):
            self._cleaning.begin(steps.row.id, steps.records)
        self.forget_left(steps.row.id)
        await steps.authority.worked(certificate.names)
        return certificate

    async def _end(self, row: StoredOrder, records: Sequence[tuple[str, str]], refund: Sequence[Draw] = ()) -> None:
        """The order has come to nothing; others may be opened for the same."""
        try:
            await self._store.settle_order(row.id, None, refund, self._tools.now())
        except StoreError:
            self._left_open.add(row.id)
            raise
        self.forget_left(row.id)
        self._cleaning.begin(row.id, records)

    def _leave(self, steps: Steps, reason: str, began: float) -> None:
        """Leave the order open for a later try, when the peer asks again or by itself."""
        self._left.failed(steps.row.id, began, self._seconds(), reason)
        self._left_open.add(steps.row.id)

    def _rest(self, steps: Steps, error: Exception) -> None:
        """The same where the fault was ours, a DNS server's or the store's: soon."""
        self._left.rest(steps.row.id, OURS_RETRY_SECONDS, self._seconds(), str(error))
        self._left_open.add(steps.row.id)

    def _another(self, authority: Authority) -> bool:
        """Whether another CA may be asked now."""
        now = self._seconds()
        return any(one is not authority and not one.seconds_to_wait(now) for one in self._tools.authorities)

    def _seconds(self) -> float:
        seconds: float = self._tools.reactor.seconds()
        return seconds


def _unspent(draws: quota.OrderDraws, steps: Steps, error: AcmeError) -> Sequence[Draw]:
    """What an order that came to nothing gives back."""
    if steps.reached is Reached.NOTHING:
        return draws.unspent(quota.Ended.UNPLACED)
    if leaves_order_open(error):
        return draws.operator  # nobody knows what the CA has counted; the peer is not to blame
    if _is_peers_fault(error):
        return draws.unspent(quota.Ended.REFUSED)
    failed = steps.row.request.names if isinstance(error, AcmeValidationFailed) else ()
    return draws.unspent(quota.Ended.UNVALIDATED, failed)


def _is_peers_fault(error: AcmeError) -> bool:
    """Whether the CA refused what the peer had sent: no other CA is troubled with that."""
    return isinstance(error, AcmeProblem) and error.kind in {"badCSR", "badPublicKey"}


def _ari_id(certificate: StoredCertificate) -> str | None:
    try:
        return ari_id(certificate.certificate_pem)
    except AcmeUsageError:
        return None  # a CA without key identifiers has no ARI either


def _is_over(time: datetime | None, now: datetime) -> bool:
    return time is not None and time <= now
