"""Work that is done once for all who ask for the same while it is under way."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Sharing(Generic[T]):
    """`get` begins the work, or waits for what was begun.

    Who gives up waiting does not end it for the others; when the last has given up, the work is cancelled.
    """

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _Work[T]] = {}

    def __len__(self) -> int:
        """How much is under way."""
        return len(self._under_way)

    def get(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> Deferred[T]:
        """Fires with what comes of the work that is known by `key`, also when that is a failure."""
        begun = self._under_way.get(key)
        if begun is None:
            begun = self._under_way[key] = _Work(lambda: self._under_way.pop(key))
            waiting = begun.wait()
            begun.begin(work())
            return waiting
        return begun.wait()


class _Work(Generic[T]):
    def __init__(self, over: Callable[[], object]) -> None:
        self._over = over
        self._waiting: list[Deferred[T]] = []
        self._running: Deferred[T] | None = None

    def wait(self) -> Deferred[T]:
        one: Deferred[T] = Deferred(self._leave)
        self._waiting.append(one)
        return one

    def begin(self, work: Coroutine[Any, Any, T]) -> None:
        self._running = Deferred.fromCoroutine(work)
        self._running.addBoth(self._done)

    def _leave(self, one: Deferred[T]) -> None:
        self._waiting.remove(one)
        if not self._waiting and self._running is not None:
            self._over()  # who asks from now on begins anew
            self._running.cancel()

    def _done(self, outcome: T | Failure) -> None:
        if self._waiting:
            self._over()
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(outcome)
