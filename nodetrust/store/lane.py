"""Threads of our own for what blocks, with a bound on everything: on threads, on what waits for them, on the time.

Twisted's pool has no such bounds, and stopping it waits for the thread that a stuck database holds: a process could not
end. These threads are daemons.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

MAX_WAITING = 10_000
"""Jobs that wait for a lane's threads; one more fails at once. As many as the orders that may wait."""

ANSWER_SECONDS = 15.0
"""From a question to its answer, the wait for a thread included. Less than what a peer waits for its certificate."""

_Given = TypeVar("_Given")
_T = TypeVar("_T")


class Overloaded(Exception):
    """So much waits for the database already that one more question would only make it worse."""


class NoAnswer(Exception):
    """The time is over; what was asked may still happen if a thread had begun with it."""


class Job(Generic[_Given]):
    """One thing to do in a thread, and who waits for what comes of it."""

    def __init__(self, work: Callable[[_Given], Any]) -> None:
        self.work = work
        self.outcome: Any = None
        """The result, or a `Failure`."""
        self.over = False
        """Nobody waits any more."""
        self.answer: Deferred[Any] = Deferred(self._give_up)
        self.timer: Any = None

    def attempt(self, run: Callable[[Callable[[_Given], Any]], Any]) -> None:
        """Give the work to `run`, and keep what comes of it."""
        try:
            self.outcome = run(self.work)
        except Exception:
            self.outcome = Failure()

    def deliver(self) -> None:
        """In the reactor's thread: tell the outcome."""
        if not self.over:
            self._give_up()
            self.answer.callback(self.outcome)

    def _give_up(self, _: object = None) -> None:
        self.over = True
        if self.timer.active():
            self.timer.cancel()


class Lane(Generic[_Given]):
    """`run` is called in a thread with the jobs that wait, at most `most_together`, and has each `attempt` its work."""

    def __init__(
        self,
        reactor: Any,
        name: str,
        run: Callable[[Sequence[Job[_Given]]], None],
        *,
        threads: int = 1,
        most_together: int = 1,
    ) -> None:
        self._reactor = reactor
        self._run = run
        self._most_together = most_together
        self._waiting: deque[Job[_Given]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._threads = threads
        self._ended: Deferred[None] = Deferred()
        for number in range(threads):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def submit(self, work: Callable[[_Given], _T], seconds: float = ANSWER_SECONDS) -> "Deferred[_T]":
        """Have `work` done; fires with its result. Raises `Overloaded`, and fails with `NoAnswer` when time is over.

        What is cancelled, or has no time left, before a thread has begun with it is not done at all.
        """
        job = Job(work)
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                raise Overloaded(f"{MAX_WAITING} questions wait for it already")
            self._waiting.append(job)
            job.timer = self._reactor.callLater(seconds, self._time_over, job, seconds)
            self._changed.notify()
        return job.answer

    def close(self) -> "Deferred[None]":
        """To be called once, after the last `submit`; fires when the threads have done what waits, and have ended."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        return self._ended

    def _work(self) -> None:
        while jobs := self._next():
            begun = [job for job in jobs if not job.over]
            if begun:
                self._attempt(begun)
                self._reactor.callFromThread(_deliver, begun)
        self._reactor.callFromThread(self._thread_ended)

    def _thread_ended(self) -> None:
        self._threads -= 1
        if not self._threads:
            self._ended.callback(None)

    def _next(self) -> list[Job[_Given]]:
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most_together))]

    def _attempt(self, jobs: list[Job[_Given]]) -> None:
        try:
            self._run(jobs)
        except Exception:
            failure = Failure()
            for job in jobs:
                job.outcome = failure

    def _time_over(self, job: Job[_Given], seconds: float) -> None:
        job.over = True
        job.answer.errback(NoAnswer(f"it has not answered for {seconds:g} s"))


def _deliver(jobs: list[Job[Any]]) -> None:
    for job in jobs:
        job.deliver()
