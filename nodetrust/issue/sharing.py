"""Work that is done once for all who ask for the same while it is under way."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


class Sharing(Generic[T]):
    """`get` begins the work, or waits for what was begun; who gives up waiting does not end it for the others."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[Deferred[T]]] = {}

    def __len__(self) -> int:
        """How much is under way."""
        return len(self._waiting)

    def get(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> Deferred[T]:
        """Fires with what comes of the work that is known by `key`, also when that is a failure."""
        begun = key in self._waiting
        waiting = self._waiting.setdefault(key, [])
        one: Deferred[T] = Deferred(waiting.remove)
        waiting.append(one)
        if not begun:
            Deferred.fromCoroutine(work()).addBoth(self._done, key)
        return one

    def _done(self, outcome: T | Failure, key: Hashable) -> None:
        for one in self._waiting.pop(key):
            one.callback(outcome)
