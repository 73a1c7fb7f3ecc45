"""So many orders at a time, the others wait for their turn; and never two at a time for the same names."""

from __future__ import annotations

from collections.abc import Hashable

from twisted.internet.defer import Deferred

from nodetrust.issue.errors import Refusal
from nodetrust.issue.orders.queue import FairQueue
from nodetrust.messages import E_RATE_LIMIT

BUSY_RETRY_SECONDS = 60.0


class Turns:
    """An order's time with the CA is from `enter` to `leave`. Thousands may wait: what they cost is kept small."""

    def __init__(self, most_open: int, most_waiting: int) -> None:
        self._free = most_open
        self._most_waiting = most_waiting
        self._queue: FairQueue[Deferred[None]] = FairQueue()
        self._names: dict[Hashable, list[Deferred[None]] | None] = {}
        """Those that have their turn, or wait for it, and who waits for the same ones, if anybody does."""
        self._waiting = 0

    async def enter(self, network: Hashable, names: Hashable, *, at_once: bool = False) -> None:
        """Wait for the turn; raises `Refusal` (E_RATE_LIMIT) where too many wait. `at_once` waits for no other names.

        The same names wait for each other, whoever asks: a CA gives two such orders one and the same number
        (RFC 8555 §7.4), and only one of them could be finalized.
        """
        if names in self._names:
            waiting = self._names[names] = self._names[names] or []
            turn: Deferred[None] = Deferred(waiting.remove)
            waiting.append(turn)
            await self._wait(turn)
        else:
            self._names[names] = None
        if at_once:
            return
        if self._free:
            self._free -= 1
            return
        turn = Deferred(lambda turn: self._queue.discard(network, turn))
        self._queue.add(network, turn)
        try:
            await self._wait(turn)
        except BaseException:
            self._leave_names(names)
            raise

    def leave(self, names: Hashable, *, at_once: bool = False) -> None:
        """The turn is over; the arguments are those of `enter`."""
        if not at_once:
            if self._queue:
                self._queue.take().callback(None)
            else:
                self._free += 1
        self._leave_names(names)

    def _leave_names(self, names: Hashable) -> None:
        after = self._names[names]
        if after:
            after.pop(0).callback(None)
        else:
            del self._names[names]

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
