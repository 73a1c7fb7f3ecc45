"""Time limits and side-by-side work for a sequence of coroutines."""

from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from nodetrust.acme.errors import AcmeTimedOut

_T = TypeVar("_T")


class Deadline:
    """The moment at which a whole operation must be over, on the clock's time."""

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._end = clock.seconds() + seconds
        self._seconds = seconds

    @property
    def remaining_seconds(self) -> float:
        """Never negative."""
        return max(self._end - self._clock.seconds(), 0.0)

    def error(self, doing: str) -> AcmeTimedOut:
        """The error for work that the deadline has cut short."""
        return AcmeTimedOut(f"the ACME operation took longer than {self._seconds:g} s; it was {doing}")

    async def sleep(self, seconds: float, doing: str) -> None:
        """Wait; `AcmeTimedOut` at once where the deadline would pass meanwhile."""
        if seconds >= self.remaining_seconds:
            raise self.error(doing)
        await deferLater(self._clock, seconds)

    async def limit(self, work: Awaitable[_T], doing: str) -> _T:
        """The result of `work`, which is cancelled at the deadline; then `AcmeTimedOut`."""
        deferred = work if isinstance(work, Deferred) else Deferred.fromCoroutine(_awaited(work))
        expired = []

        def expire() -> None:
            expired.append(True)
            deferred.cancel()

        timer = self._clock.callLater(self.remaining_seconds, expire)
        try:
            result: _T = await deferred
        except CancelledError as error:
            if expired:
                raise self.error(doing) from error
            raise
        finally:
            if timer.active():
                timer.cancel()
        return result


async def in_parallel(work: Iterable[Coroutine[Deferred[Any], Any, _T]]) -> list[_T]:
    """The results, in order. The first error is raised at once, and what still runs is cancelled."""
    running = [Deferred.fromCoroutine(coroutine) for coroutine in work]
    try:
        return await gatherResults(running, consumeErrors=True)
    except FirstError as first:
        first.subFailure.raiseException()
        raise  # never reached: raiseException always raises
    finally:
        for deferred in running:
            deferred.cancel()


async def _awaited(work: Awaitable[_T]) -> _T:
    return await work
