"""A reactor whose threads are done at once, or when the test says so."""

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure


class ThreadlessClock(Clock):
    """What `deferToThreadPool` needs of a reactor and of its thread pool."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[Callable[[], None]] | None = None

    def hold(self) -> None:
        """Let threads wait from now on."""
        self._held = []

    def release(self) -> None:
        """Let threads do what waits, and work at once from now on."""
        held, self._held = self._held or [], None
        for work in held:
            work()

    def getThreadPool(self) -> "ThreadlessClock":
        return self

    def callFromThread(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        call(*args, **kwargs)

    def callInThreadWithCallback(
        self, done: Callable[[bool, Any], None], call: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> None:
        def work() -> None:
            try:
                result, success = call(*args, **kwargs), True
            except Exception:
                result, success = Failure(), False
            done(success, result)

        if self._held is None:
            work()
        else:
            self._held.append(work)
