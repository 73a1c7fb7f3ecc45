"""Work that is done once for everybody who asks for the same."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

_T = TypeVar("_T")


class Shared(Generic[_T]):
    """Work that runs, and everybody who waits for what comes of it.

    While it is `idle` (it has only waited so far), it is cancelled when the last of them has gone.
    """

    def __init__(self, work: Callable[[Shared[_T]], Coroutine[Any, Any, _T]], *, idle: bool = False) -> None:
        self.idle = idle
        self._waiting: list[Deferred[_T]] = []
        self._outcome: _T | Failure | None = None
        self._over = False
        self.running: Deferred[_T] = Deferred.fromCoroutine(work(self))

    def result(self) -> Deferred[_T]:
        """Fires with what comes of it; who cancels it does not end it for the others."""
        waiting: Deferred[_T] = Deferred(self._leave)
        if self._over:
            waiting.callback(self._outcome)  # type: ignore[arg-type]  # it is there when all is over
        else:
            self._waiting.append(waiting)
        return waiting

    def ended(self) -> Deferred[None]:
        """Fires when it is over, whatever came of it."""
        return self.result().addBoth(lambda _: None)

    def finish(self, outcome: _T | Failure) -> None:
        """Tell everybody who waits, and whoever is about to."""
        self._outcome, self._over = outcome, True
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(outcome)

    def _leave(self, waiting: Deferred[_T]) -> None:
        self._waiting.remove(waiting)
        if self.idle and not self._waiting:
            self.running.cancel()
