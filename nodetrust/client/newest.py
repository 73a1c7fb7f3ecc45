"""The newest value of something that comes when it comes, and those who wait for the first."""

from __future__ import annotations

from typing import Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred

T = TypeVar("T")


class Newest(Generic[T]):
    """A value, or why there is none yet."""

    def __init__(self) -> None:
        self._value: T | None = None
        self._error: Exception | None = None
        self._waiting: list[Deferred[T]] = []
        self._over = False

    def get(self) -> Deferred[T]:
        """A Deferred of the caller's own: the value that there is, or the newest error, or what comes next."""
        waiting: Deferred[T] = Deferred(self._waiting.remove)
        if self._value is not None:
            waiting.callback(self._value)
        elif self._error is not None:
            waiting.errback(self._error)
        elif self._over:
            waiting.errback(CancelledError())
        else:
            self._waiting.append(waiting)
        return waiting

    def set(self, value: T) -> None:
        """There is a value, or another one."""
        self._value, self._error = value, None
        for one in self._take():
            one.callback(value)

    def fail(self, error: Exception) -> None:
        """There is none; a value of before stays."""
        self._error = error
        for one in self._take():
            one.errback(error)

    def clear(self) -> None:
        """There is none any more: who asks from now on waits."""
        self._value = None

    def cancel(self) -> None:
        """Nothing comes any more: who waits for it, and who will, gets a `CancelledError`."""
        self._over = True
        for one in list(self._waiting):
            one.cancel()

    def _take(self) -> list[Deferred[T]]:
        taken, self._waiting[:] = list(self._waiting), []
        return taken
