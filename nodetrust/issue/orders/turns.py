"""So many orders at a time, the others wait for their turn; and never two at a time for the same names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from twisted.internet.defer import Deferred

from nodetrust.issue.errors import Refusal
from nodetrust.issue.orders.queue import FairQueue
from nodetrust.messages import E_RATE_LIMIT

BUSY_RETRY_SECONDS = 60.0


class Turns:
    """`async with turns.turn(network, names)` is an order's time with the CA."""

    def __init__(self, most_open: int, most_waiting: int) -> None:
        self._free = most_open
        self._most_waiting = most_waiting
        self._queue: FairQueue[Deferred[None]] = FairQueue()
        self._names: dict[Hashable, list[Deferred[None]]] = {}
        self._waiting = 0

    @asynccontextmanager
    async def turn(self, network: Hashable, names: Hashable, *, at_once: bool = False) -> AsyncIterator[None]:
        """Wait for the turn; raises `Refusal` (E_RATE_LIMIT) where too many wait. `at_once` waits for no other names.

        The same names wait for each other, whoever asks: a CA gives two such orders one and the same number
        (RFC 8555 §7.4), and only one of them could be finalized.
        """
        await self._enter_names(names)
        try:
            if at_once:
                yield
                return
            await self._enter(network)
            try:
                yield
            finally:
                self._leave()
        finally:
            self._leave_names(names)

    async def _enter_names(self, names: Hashable) -> None:
        before = self._names.get(names)
        if before is None:
            self._names[names] = []
            return
        turn: Deferred[None] = Deferred(before.remove)
        before.append(turn)
        await self._wait(turn)

    def _leave_names(self, names: Hashable) -> None:
        after = self._names[names]
        if after:
            after.pop(0).callback(None)
        else:
            del self._names[names]

    async def _enter(self, network: Hashable) -> None:
        if self._free:
            self._free -= 1
            return
        turn: Deferred[None] = Deferred(lambda turn: self._queue.discard(network, turn))
        self._queue.add(network, turn)
        await self._wait(turn)

    def _leave(self) -> None:
        if self._queue:
            self._queue.take().callback(None)
        else:
            self._free += 1

    async def _wait(self, turn: Deferred[None]) -> None:
        if self._waiting >= self._most_waiting:
            turn.cancel()
            turn.addErrback(lambda _: None)
            raise Refusal(E_RATE_LIMIT, "too many orders wait: come back later", BUSY_RETRY_SECONDS)
        self._waiting += 1
        try:
            await turn
        finally:
            self._waiting -= 1
