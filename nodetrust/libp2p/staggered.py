"""Try several ways at once, a little apart, and keep the first that works ("happy eyeballs", RFC 8305)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

T = TypeVar("T")

STAGGER_SECONDS = 0.25
"""RFC 8305 §5 recommends this delay between connection attempts; go-libp2p's dial ranker uses it as well."""


async def first_success(
    attempts: Sequence[Callable[[], Awaitable[T]]], clock: IReactorTime, stagger_seconds: float = STAGGER_SECONDS
) -> T:
    """The result of the first attempt that succeeds; the others are cancelled or never begun.

    Attempt n begins `stagger_seconds` after attempt n-1, or as soon as all that were begun have failed. A cancelled
    attempt must undo what it did. If none succeeds, raises `AllFailed` with the failures in the attempts' order.
    """
    if len(attempts) == 1:  # No race: the usual case, and several Deferreds cheaper.
        try:
            return await attempts[0]()
        except CancelledError:
            raise
        except Exception as reason:
            raise AllFailed([reason]) from reason
    return await _Race(attempts, clock, stagger_seconds).run()


class AllFailed(Exception):
    """Every attempt failed; `reasons` has one exception for each, in the attempts' order."""

    def __init__(self, reasons: Sequence[Exception]) -> None:
        super().__init__("; ".join(str(reason) or type(reason).__name__ for reason in reasons))
        self.reasons = tuple(reasons)


class _Race(Generic[T]):
    def __init__(self, attempts: Sequence[Callable[[], Awaitable[T]]], clock: IReactorTime, stagger: float) -> None:
        self._attempts = attempts
        self._clock = clock
        self._stagger = stagger
        self._begun = 0
        self._running: dict[int, Deferred[T]] = {}
        self._reasons: dict[int, Exception] = {}
        self._timer: IDelayedCall | None = None
        self._outcome: Deferred[T] = Deferred(lambda _: self._end())
        self._over = False

    async def run(self) -> T:
        if not self._attempts:
            raise AllFailed(())
        self._begin_next()
        return await self._outcome

    def _begin_next(self) -> None:
        self._timer = None
        index = self._begun
        self._begun += 1
        if self._begun < len(self._attempts):
            self._timer = self._clock.callLater(self._stagger, self._begin_next)
        attempt = Deferred.fromCoroutine(_as_coroutine(self._attempts[index]))
        self._running[index] = attempt
        attempt.addCallbacks(self._won, self._lost, callbackArgs=(index,), errbackArgs=(index,))

    def _won(self, result: T, index: int) -> None:
        self._running.pop(index, None)
        if not self._over:
            self._end()
            self._outcome.callback(result)

    def _lost(self, failure: Failure, index: int) -> None:
        self._running.pop(index, None)
        if self._over:
            return
        if not isinstance(failure.value, Exception):
            self._end()
            self._outcome.errback(failure)
            return
        self._reasons[index] = failure.value
        if len(self._reasons) == len(self._attempts):
            self._end()
            self._outcome.errback(AllFailed([self._reasons[index] for index in sorted(self._reasons)]))
        elif not self._running and self._timer is not None:
            self._timer.cancel()
            self._begin_next()

    def _end(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for attempt in list(self._running.values()):
            attempt.cancel()


async def _as_coroutine(attempt: Callable[[], Awaitable[T]]) -> T:
    return await attempt()
