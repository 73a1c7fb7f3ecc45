"""Time limits and side-by-side work for a sequence of coroutines."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from nodetrust.acme.errors import AcmeError, AcmeTimedOut

_T = TypeVar("_T")


class Deadline:
    """The moment at which a whole operation must be over, on the clock's `monotonic` time where it has one."""

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        # A clock that can be set under us may know how much time has really passed.
        self._passed: Callable[[], float] = getattr(clock, "monotonic", clock.seconds)
        self._end = self._passed() + seconds
        self._seconds = seconds

    @property
    def remaining_seconds(self) -> float:
        """Never negative."""
        return max(self._end - self._passed(), 0.0)

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


class Shared(Generic[_T]):
    """Work that is done once for all who want it at the same time, and again for whoever comes later.

    They are told one after the other, so that a thousand of them are no deeper a stack than one. An error is theirs,
    too; but whose own deadline ends, or who is cancelled, leaves the work to the others.
    """

    def __init__(self) -> None:
        self._waiting: list[Deferred[_T]] | None = None

    async def result(self, work: Callable[[Deadline], Awaitable[_T]], deadline: Deadline, doing: str) -> _T:
        """What comes of `work`, which is begun here unless it runs."""
        while self._waiting is not None:
            told: Deferred[_T] = Deferred(self._waiting.remove)
            self._waiting.append(told)
            try:
                return await deadline.limit(told, doing)
            except _GivenUp:
                continue
        self._waiting = []
        try:
            result = await work(deadline)
        except AcmeTimedOut:
            self._tell(_GivenUp())
            raise
        except AcmeError as error:
            self._tell(error)
            raise
        except BaseException:  # cancelled, or a bug, which is not everybody's
            self._tell(_GivenUp())
            raise
        self._tell(result)
        return result

    def _tell(self, outcome: _T | Exception) -> None:
        waiting, self._waiting = self._waiting or [], None
        while waiting:
            one = waiting.pop(0)
            if isinstance(outcome, Exception):
                one.errback(outcome)
            else:
                one.callback(outcome)


class _GivenUp(Exception):
    """Whoever did the work for all has stopped: one of them does it now."""


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
