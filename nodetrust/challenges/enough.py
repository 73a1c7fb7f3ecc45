"""Wait until so many of several have succeeded."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


def enough(attempts: Sequence[Deferred[None]], needed: int) -> Deferred[None]:
    """Fires when `needed` of the attempts have succeeded; fails as the first one failed when they can't any more.

    Those that are not over by then are cancelled, and so are all if the Deferred itself is.
    """
    count = _Count(attempts, needed)
    for attempt in attempts:
        attempt.addCallbacks(count.succeeded, count.failed)
    return count.done


class _Count:
    def __init__(self, attempts: Sequence[Deferred[None]], needed: int) -> None:
        self._attempts = attempts
        self._needed = needed
        self._may_fail = len(attempts) - needed
        self._first_failure: Failure | None = None
        self._is_over = False
        self.done: Deferred[None] = Deferred(lambda _: self._end())

    def succeeded(self, _: None) -> None:
        self._needed -= 1
        if not self._needed and not self._is_over:
            self._end()
            self.done.callback(None)

    def failed(self, failure: Failure) -> None:
        if self._is_over:  # cancelled, mostly
            return
        self._first_failure = self._first_failure or failure
        self._may_fail -= 1
        if self._may_fail < 0:
            self._end()
            self.done.errback(self._first_failure)

    def _end(self) -> None:
        self._is_over = True
        for attempt in self._attempts:
            attempt.cancel()
