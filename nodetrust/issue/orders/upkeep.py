"""What happens by itself: this process shows that it lives, takes up what others have left, and clears what is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.issue.orders.cleaning import Cleaning
from nodetrust.issue.orders.endings import Endings
from nodetrust.issue.orders.tools import Tools
from nodetrust.issue.orders.unsaved import Unsaved
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.store import StoredOrder, StoreError

BEAT_SECONDS = 10.0
"""A third of what makes a server dead."""

LOOK_SECONDS = 60.0
CLEAR_SECONDS = 3600.0

MOST_TAKEN_UP = 100
"""At one look: the rest is for another server, or the next minute."""

KEYLESS_SECONDS = 3600.0
"""How long an order whose key was lost waits for its peer to ask again."""


class Upkeep:
    """Runs from `start` to `stop`. `resume` is called with each order that is ours now and should be gone on with."""

    log = Logger()

    def __init__(
        self,
        tools: Tools,
        server: PeerId,
        *,
        unsaved: Unsaved,
        cleaning: Cleaning,
        endings: Endings,
        resume: Callable[[StoredOrder], None],
    ) -> None:
        self.is_ours = True
        """Whether no other process has taken our identity."""
        self._tools = tools
        self._server = server.multihash
        self._unsaved = unsaved
        self._cleaning = cleaning
        self._endings = endings
        self._resume = resume
        self._keyless: dict[int, float] = {}
        self._trouble = ""
        self._loops = [
            self._loop(work, seconds)
            for work, seconds in (
                (self._beat, BEAT_SECONDS),
                (self._look, LOOK_SECONDS),
                (self._clear, CLEAR_SECONDS),
            )
        ]

    async def start(self) -> None:
        """Be the one process with this peer ID, and take up what an earlier one has left. Raises `StoreError`."""
        await self._tools.store.enter(self._server, self._tools.epoch, self._tools.now())
        for loop in self._loops:
            loop.start(loop.interval or 0.0, now=False)
        await self._look()

    def stop(self) -> None:
        """Begin nothing any more."""
        for loop in self._loops:
            if loop.running:
                loop.stop()

    async def leave(self) -> None:
        """The process ends: others need not wait until it counts as dead, as they do if the store cannot be told."""
        if self.is_ours:
            with suppress(StoreError):
                await self._tools.store.leave(self._server, self._tools.epoch, self._tools.now())

    def _loop(self, work: Callable[[], Awaitable[None]], seconds: float) -> LoopingCall:
        loop = LoopingCall(lambda: Deferred.fromCoroutine(self._guarded(work)))
        loop.clock, loop.interval = self._tools.reactor, seconds
        return loop

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except StoreError as error:
            if str(error) != self._trouble:  # once, not every ten seconds
                self._trouble = str(error)
                self.log.error("{reason}", reason=str(error))
        except Exception:
            self.log.failure("what is done from time to time has failed, which is a bug", Failure())
        else:
            self._trouble = ""

    async def _beat(self) -> None:
        tools = self._tools
        was_ours, self.is_ours = self.is_ours, await tools.store.beat(self._server, tools.epoch, tools.now())
        if was_ours and not self.is_ours:
            self.log.error("another process runs with this peer's key on the same store: this one orders no more")
        for order_id, records in await self._unsaved.save(tools.now()):
            self._cleaning.begin(order_id, records)

    async def _look(self) -> None:
        tools = self._tools
        if not self.is_ours:
            return
        for authority in tools.authorities:
            await authority.recall()
        self._cleaning.again()
        for row in await tools.store.claim_abandoned(tools.epoch, tools.now(), MOST_TAKEN_UP):
            self._take_up(row)
        for order_id in self._endings.due():
            await self._claim(order_id)
        for order_id in self._too_old():
            del self._keyless[order_id]
            found = await tools.store.claim_order(order_id, tools.epoch, tools.now())
            if found is not None and not found.settled:
                await self._endings.end(found, found.records)

    async def _claim(self, order_id: int) -> None:
        row = await self._tools.store.claim_order(order_id, self._tools.epoch, self._tools.now())
        if row is None:
            self._endings.forget(order_id)
        else:
            self._take_up(row)

    def _take_up(self, row: StoredOrder) -> None:
        if row.settled:
            self._endings.forget(row.id)
            self._cleaning.begin(row.id, row.records)
        elif row.request.csr_der is not None:
            self._resume(row)
        else:
            self._endings.forget(row.id)
            self._keyless[row.id] = row.opened_at.timestamp()
            Deferred.fromCoroutine(self._guarded(lambda: self._tools.dns.withdraw(row.records)))

    def _too_old(self) -> list[int]:
        end = self._tools.reactor.seconds() - KEYLESS_SECONDS
        return [order_id for order_id, opened in self._keyless.items() if opened < end]

    async def _clear(self) -> None:
        cleared = await self._tools.store.clear(self._tools.now())
        self.log.info(
            "cleared {certificates} certificates, {orders} orders, {proofs} proofs, {quotas} quotas",
            certificates=cleared.certificates,
            orders=cleared.orders,
            proofs=cleared.proofs,
            quotas=cleared.quotas,
        )
