"""Several pieces of work side by side, of which every result is wanted."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, FirstError, gatherResults

T = TypeVar("T")


async def in_parallel(work: Iterable[Coroutine[Deferred[Any], Any, T]]) -> list[T]:
    """The results, in order. The first error is raised at once, as it is, and what still runs is cancelled."""
    running = [Deferred.fromCoroutine(coroutine) for coroutine in work]
    try:
        return await gatherResults(running, consumeErrors=True)
    except FirstError as first:
        first.subFailure.raiseException()
        raise  # never reached: raiseException always raises
    finally:
        for deferred in running:
            deferred.cancel()
