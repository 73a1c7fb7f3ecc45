"""A new order, at one CA after the other until one gives the certificate."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime

from twisted.internet.defer import CancelledError

from nodetrust.acme import AcmeError, AcmeProblem, AcmeRateLimited, AcmeUsageError, AcmeValidationFailed, ari_id
from nodetrust.issue import quota
from nodetrust.issue.authorities import Authority, Refusals
from nodetrust.issue.authorities.blame import leaves_order_open
from nodetrust.issue.decide import Order
from nodetrust.issue.orders.cache import Cache
from nodetrust.issue.orders.endings import Endings
from nodetrust.issue.orders.requests import request_of
from nodetrust.issue.orders.steps import Reached, Steps
from nodetrust.issue.orders.tools import Tools
from nodetrust.issue.renewal import Turns as RetryTurns
from nodetrust.quotas import Draw, Exhausted
from nodetrust.store import StoredCertificate, StoredOrder

Found = tuple[StoredCertificate, bool]
"""A certificate, and whether it was there already."""


class Placing:
    """Opens orders, one row of the store for each, and carries them out."""

    def __init__(self, tools: Tools, cache: Cache, endings: Endings) -> None:
        self._tools = tools
        self._store = tools.store
        self._cache = cache
        self._endings = endings
        self._retry_turns = RetryTurns()

    async def certificate(self, order: Order, csr_der: bytes) -> Found:
        """From the first CA that gives one. Raises `Refusal`, `StoreError`, and `OrderIsOpen`."""
        refusals = Refusals()
        for authority in self._tools.authorities:
            wait = authority.seconds_to_wait(self._tools.seconds())
            if wait > 0:
                refusals.busy(authority.directory_url, authority.reason, wait)
                continue
            refused = authority.refused(order.names, self._tools.seconds())
            if refused is not None:
                refusals.failed(authority.directory_url, refused.reason, refused.seconds_left(self._tools.seconds()))
                continue
            authority.begin()
            try:
                found = await self._order_at(authority, order, csr_der, refusals)
            finally:
                authority.released()
            if found is not None:
                return found
        raise refusals.error()

    async def _order_at(self, authority: Authority, order: Order, csr_der: bytes, refusals: Refusals) -> Found | None:
        """None: this CA gives none, and `refusals` has heard why."""
        began = self._tools.seconds()
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
            await self._endings.end(row, (), draws.all)
            return ready, True
        return await self._carry_out(Steps(self._tools, authority, row, csr_der), draws, refusals)

    async def _carry_out(self, steps: Steps, draws: quota.OrderDraws, refusals: Refusals) -> Found | None:
        authority, row = steps.authority, steps.row
        began = self._tools.seconds()
        try:
            return await self._endings.run(steps, draws.unspent(quota.Ended.SIGNED)), False
        except AcmeError as error:
            wait = await authority.failed(row.request.names, error, began)
            if isinstance(error, AcmeRateLimited):
                refusals.busy(authority.directory_url, str(error), wait or 0.0)
            else:
                refusals.failed(authority.directory_url, str(error), wait)
            may_go_on = steps.reached is not Reached.NOTHING and leaves_order_open(error)
            if may_go_on and not self._tools.another_than(authority):
                self._endings.leave_after(steps, error, began)
            else:
                await self._endings.end(row, steps.records, _unspent(draws, steps, error))
            if _is_peers_fault(error):
                raise refusals.error() from error
            return None
        except CancelledError:
            raise  # the row is for the next life
        except Exception as error:
            self._endings.rest(steps, error)
            raise

    async def _open(self, authority: Authority, order: Order) -> tuple[StoredOrder, quota.OrderDraws]:
        now = self._tools.now()
        same = await self._store.newest_for_names(order.peer.multihash, order.names)
        newest = await self._store.newest_of_peer(order.peer.multihash)
        newest = None if newest is None or newest.not_after <= now else newest
        is_good = same is not None and same.not_after > now and same.directory_url == authority.directory_url
        replaced = same if is_good else None
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
