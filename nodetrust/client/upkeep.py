"""A certificate that is there when it is needed: the stored one, the next one in time, another after a move."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import SystemRandom
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger, LogLevel

from nodetrust.certificates import CRYPTO_NAMES, make_key
from nodetrust.client.errors import ObtainError
from nodetrust.client.files import load, save
from nodetrust.client.issuers import BestFirst
from nodetrust.client.obtain import Obtained
from nodetrust.client.plan import Plan
from nodetrust.client.renewal import (
    MOVES_SECONDS,
    RECHECK_SECONDS,
    level_of_failure,
    seconds_to_check,
    seconds_to_reproof,
    seconds_to_retry,
)
from nodetrust.client.settings import ClientSettings
from nodetrust.client.ways import Claim, Way, Ways
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.names import IPAddress

SHORTEST_SLEEP_SECONDS = 0.01
"""Less than that is nothing on a clock that counts since 1970 in a float."""

MOST_EARLIER = 4
"""Certificates for where we were that are kept in memory: who comes back there (two uplinks, home and office) needs no
order. A CA gives five for the same names a week. Ours."""


class Upkeep:
    """Keeps a certificate for where this peer is, by the best of the `ways` that there is one by.

    `use` is called with each certificate, first the one of an earlier run; `failed` with what went wrong, after which
    it goes on trying. `steady` is a clock that is never set, in seconds.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: ClientSettings,
        ways: Ways,
        use: Callable[[Obtained], None],
        failed: Callable[[Exception], None],
        *,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.current: Obtained | None = None
        self._reactor = reactor
        self._settings = settings
        self._use = use
        self._failed = failed
        self._steady = steady
        self._ways = BestFirst(ways, steady)
        self._intervals = settings.intervals
        self._chance = SystemRandom().random
        self._plan: Plan | None = None
        self._checked_at = float("-inf")
        self._check_at = float("inf")
        self._unsaved = False
        self._seen_at: IPAddress | None = None
        self._stirred = False
        self._all_ways = ways
        self._from_before: list[Way] = []
        """Those whose connections may be from where we were."""
        self._tried_for: tuple[IPAddress, ...] = ()
        self._claimed: tuple[IPAddress, ...] = ()
        self._left: frozenset[IPAddress] = frozenset()
        self._earlier: list[tuple[Obtained, Plan]] = []
        self._followed_at: float | None = None
        self._moves: list[float] = []
        self._sleeping: Deferred[None] | None = None
        self._stopped = False

    async def run(self) -> None:
        """Go on until `stop`, and until what runs this is cancelled, which belongs to a stop."""
        self._use_stored()
        failures = 0
        moved = False
        while not self._stopped:
            if self._plan is not None and failures == 0:
                moved = await self._until_due(self._plan)
            error = await self._try(self._follow if moved else self._renew)
            if error is None:
                failures = 0
                self._left = frozenset()
                continue
            failures += 1
            self._note_left()
            wait = seconds_to_retry(failures, self._chance(), error)
            self._log_failure(error, wait, moved=moved)
            self._failed(error)
            if not self._stopped:
                moved = await self._rest(wait) or moved

    async def _try(self, work: Callable[[Way], Awaitable[None]]) -> Exception | None:
        """Why there is no certificate. A bug is logged as one, and ends nothing: the next try comes as after others."""
        self._claimed = ()
        try:
            await self._ways.first(work)
        except (NodetrustError, Libp2pError) as error:
            return error
        except Exception as bug:
            if self._stopped:
                raise
            self.log.failure("a try to get a certificate has failed in a way that is a bug")
            return ObtainError(f"a bug: {bug!r}")
        return None

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """Those of the certificate, but for those that we have left, as far as is known."""
        return () if self.current is None else tuple(ip for ip in self.current.addresses if ip not in self._left)

    def stop(self) -> None:
        """Begin nothing any more: cancelling does not reach a `run` that is itself calling `use` or `failed`."""
        self._stopped = True

    def seen_at(self, address: IPAddress) -> None:
        """The issue server, which we trust, says that we come from this address."""
        self._seen_at = address
        self._wake()

    def stirred(self) -> None:
        """This machine's own addresses are others than before: it may be somewhere else for the world, too."""
        self._stirred = True
        self._from_before = list(self._all_ways)
        self._wake()

    def reconnected(self) -> None:
        """There is a new connection to the issue server: it may have been told when to renew while there was none."""
        if self._steady() - self._checked_at >= RECHECK_SECONDS:
            self._check_at = self._steady()
            self._wake()

    def _wake(self) -> None:
        if self._sleeping is not None:
            self._sleeping.cancel()

    def _use_stored(self) -> None:
        try:
            stored = load(self._settings.state)
            if stored is not None and stored.chain.not_after > self._now():
                self._take(stored, self._plan_for(stored))
        except (ObtainError, Libp2pError) as error:
            self.log.warn("the stored certificate is not used: {reason}", reason=str(error))

    async def _until_due(self, plan: Plan) -> bool:
        """Wait until the certificate is to be renewed, or until we seem to have moved: then return True."""
        self._check_at = min(self._check_at, self._steady() + self._seconds_to_check())
        while True:
            steady = self._steady()
            reproof = self._seconds_to_reproof(() if self.current is None else self.current.addresses)
            if reproof is not None and reproof <= 0:
                self._stirred, self._followed_at = False, steady
                return True
            left = plan.seconds_left(self._now(), steady)
            if left <= 0:
                return False
            if self._check_at <= steady:
                await self._check(plan)
                continue
            wait = min(left, self._check_at - steady, math.inf if reproof is None else reproof)
            await self._sleep(max(wait, SHORTEST_SLEEP_SECONDS))

    async def _rest(self, seconds: float) -> bool:
        """After a failure wait so long, or until it is news where we are: then return True."""
        end = self._steady() + seconds
        known = {*self._tried_for, *self.addresses}
        if self._seen_at is not None:
            known.add(self._seen_at)
        while (left := end - self._steady()) > 0:
            reproof = self._seconds_to_reproof(known)
            if reproof is not None and reproof <= 0:
                self._stirred, self._followed_at = False, self._steady()
                return True
            await self._sleep(max(min(left, math.inf if reproof is None else reproof), SHORTEST_SLEEP_SECONDS))
        return False

    def _seconds_to_reproof(self, proven: Collection[IPAddress]) -> float | None:
        steady = self._steady()
        since_last = None if self._followed_at is None else steady - self._followed_at
        self._moves = [at for at in self._moves if steady - at < MOVES_SECONDS]
        return seconds_to_reproof(self._seen_at, proven, since_last, stirred=self._stirred, moves=len(self._moves))

    def _seconds_to_check(self) -> float:
        return seconds_to_check(self._chance(), self._intervals)

    async def _check(self, plan: Plan) -> None:
        """Ask when to renew: the CA may have other plans for this certificate than we have."""
        self._checked_at = self._steady()
        self._check_at = self._checked_at + self._seconds_to_check()
        moved = await self._ask_when(plan)
        if self.current is not None and (moved or self._unsaved):
            self.current = replace(self.current, renew_at=plan.at)
            await self._save(self.current)

    async def _ask_when(self, plan: Plan) -> bool:
        """Whether another time is said than was planned."""
        try:
            renew_at = await self._ways.first(self._ask)
        except (NodetrustError, Libp2pError) as error:
            self.log.info("nobody says when to renew: {reason}", reason=str(error))
            return False
        moved = renew_at is not None and plan.move(renew_at, self._now())
        if moved:
            self.log.info("the next certificate is asked for at {due}", due=plan.at.isoformat(timespec="minutes"))
        return moved

    async def _ask(self, way: Way) -> int | None:
        current = self.current
        if current is None:
            return None
        newer = any(one.chain.not_after > current.chain.not_after for one, _ in self._earlier)
        return await way.renew_at(current, is_newest=not newer)

    async def _sleep(self, seconds: float) -> None:
        """Wait so long, or until `seen_at`, `stirred` or `reconnected` is called."""
        self._sleeping = deferLater(self._reactor, seconds)
        try:
            await self._sleeping
        except CancelledError:
            if self._stopped:
                raise
        finally:
            self._sleeping = None

    async def _renew(self, way: Way) -> None:
        await self._order(await self._claim(way))

    async def _follow(self, way: Way) -> None:
        """Prove where we are now; take another certificate only if its names would be others."""
        claim = await self._claim(way)
        current, seen_at = self.current, self._seen_at
        if seen_at is not None and seen_at not in claim.addresses:
            self.log.info("the issue server sees this peer at {address}, but nobody proves that", address=str(seen_at))
        self._seen_at = None
        if current is not None and current.chain.names >= claim.names:
            if frozenset(current.addresses) != frozenset(claim.addresses):
                await self._keep(replace(current, addresses=claim.addresses), self._plan or self._plan_for(current))
        elif earlier := self._earlier_for(claim.names):
            obtained, plan = earlier
            await self._keep(replace(obtained, addresses=claim.addresses, from_cache=False), plan)
        else:
            await self._order(claim)
            self._moves.append(self._steady())

    def _earlier_for(self, names: frozenset[str]) -> tuple[Obtained, Plan] | None:
        """A certificate of before for these names that is not due yet, with its plan."""
        now, steady = self._now(), self._steady()
        fitting = (
            (obtained, plan)
            for obtained, plan in self._earlier
            if obtained.chain.names >= names and plan.seconds_left(now, steady) > 0
        )
        return next(fitting, None)

    async def _claim(self, way: Way) -> Claim:
        self._tried_for = ()
        from_before = self._from_before  # another move, in the midst of this, makes another list
        claim = await way.claim(anew=way in from_before)
        if way in from_before:
            from_before.remove(way)
        self._tried_for = self._claimed = claim.addresses
        return claim

    def _note_left(self) -> None:
        """There is no other certificate, but there were proofs: where they do not see us, we are no more."""
        if self._claimed and self.current is not None:
            self._left = frozenset(self.current.addresses) - frozenset(self._claimed)

    async def _order(self, claim: Claim) -> None:
        crypto = CRYPTO_NAMES[self._settings.crypto]
        key = await self._in_thread(make_key, crypto)
        obtained = await claim.order(key, crypto, self.current)
        plan = self._plan_for(obtained)
        plan.rest_after(self._plan)
        await self._keep(obtained, plan)

    def _plan_for(self, obtained: Obtained) -> Plan:
        chain = obtained.chain
        now = self._now() if obtained.from_cache else chain.not_before
        plan = Plan(chain.not_before, chain.not_after, now, self._steady(), self._intervals)
        plan.make(obtained.renew_at, self._chance())
        return plan

    async def _keep(self, obtained: Obtained, plan: Plan) -> None:
        """Use it, and store it with its plan: a restart orders nothing."""
        obtained = replace(obtained, renew_at=plan.at)
        await self._save(obtained)
        self._take(obtained, plan)

    async def _save(self, obtained: Obtained) -> None:
        """Try to; what cannot be stored is used all the same, or else a full disk would cost an order each hour."""
        try:
            await self._in_thread(save, self._settings.state, obtained)
            self._unsaved = False
        except ObtainError as error:
            self._unsaved = True
            self.log.error("the certificate is used, but a restart will need another: {reason}", reason=str(error))

    def _take(self, obtained: Obtained, plan: Plan) -> None:
        if self.current is not None and self._plan is not None:
            self._earlier.insert(0, (self.current, self._plan))
        others = [one for one in self._earlier if not obtained.chain.names >= one[0].chain.names]
        self._earlier = others[:MOST_EARLIER]
        self.current = obtained
        self._plan = plan
        self._left = frozenset()
        self._use(obtained)

    def _log_failure(self, error: Exception, wait: float, *, moved: bool) -> None:
        """The louder, the less is left of the certificate that is served; one for where we were is no good now."""
        again = str(timedelta(seconds=round(wait)))
        if self.current is None:
            self.log.error("no certificate: {reason}; trying again in {again}", reason=str(error), again=again)
            return
        chain = self.current.chain
        over = " (it is over)" if chain.not_after <= self._now() else ""
        level = level_of_failure(chain.not_before, chain.not_after, self._now(), self._intervals)
        self.log.emit(
            LogLevel.warn if moved and level == "info" else LogLevel.lookupByName(level),
            "no new certificate: {reason}; the one that is served is good until {until}{over}; trying again in {again}",
            reason=str(error),
            until=chain.not_after.isoformat(timespec="minutes"),
            over=over,
            again=again,
        )

    def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), call, *arguments)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._reactor.seconds(), UTC)
