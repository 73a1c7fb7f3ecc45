"""The bounds on what waits for a thread that is stuck."""

import threading
from collections.abc import Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from nodetrust.store import lane
from nodetrust.store.lane import Job, Lane, NoAnswer, Overloaded
from tests.store.examples import reactor


class LaneTests(TestCase):
    """One thread, and a job that holds it until the test lets it go."""

    timeout = 120

    def setUp(self) -> None:
        self.together: list[int] = []
        self.lane: Lane[str] = Lane(reactor, "test", self.run_jobs, most_together=3)
        self.held, self.let_go = threading.Event(), threading.Event()
        self.addCleanup(self.lane.close)
        self.addCleanup(self.let_go.set)

    def run_jobs(self, jobs: Sequence[Job[str]]) -> None:
        self.together.append(len(jobs))
        for job in jobs:
            job.attempt(lambda work: work("given"))

    def hold(self, seconds: float = 20) -> "Deferred[str]":
        """Have the thread held; returns when it is."""

        def work(given: str) -> str:
            self.held.set()
            self.let_go.wait()
            return given

        answer = self.lane.submit(work, seconds)
        self.held.wait()
        return answer

    async def test_result_and_failure(self) -> None:
        """What the work returns or raises is the answer."""
        self.assertEqual(await self.lane.submit(lambda given: given.upper()), "GIVEN")
        with self.assertRaises(ZeroDivisionError):
            await self.lane.submit(lambda _: 1 // 0)

    async def test_what_waits_goes_together(self) -> None:
        """In its order, as many at once as may."""
        first = self.hold()
        done: list[int] = []
        answers = [self.lane.submit(_append(done, number)) for number in range(7)]
        self.let_go.set()
        await first
        for answer in answers:
            await answer
        self.assertEqual(done, list(range(7)))
        self.assertEqual(self.together, [1, 3, 3, 1])

    async def test_as_many_wait_as_may(self) -> None:
        """One more is refused at once, and there is room again when the thread goes on."""
        self.patch(lane, "MAX_WAITING", 5)
        first = self.hold()
        answers = [self.lane.submit(len) for _ in range(5)]
        self.assertRaises(Overloaded, self.lane.submit, len)
        self.let_go.set()
        await first
        for answer in answers:
            self.assertEqual(await answer, 5)
        self.assertEqual(await self.lane.submit(len), 5)

    async def test_no_answer_in_time(self) -> None:
        """Who waits is told, what has not begun is never done, and the thread is of use again when it is free."""
        first = self.hold(0.05)
        done: list[int] = []
        second = self.lane.submit(_append(done, 2), 0.05)
        for answer in (first, second):
            with self.assertRaises(NoAnswer):
                await answer
        self.let_go.set()
        await self.lane.submit(_append(done, 3))
        self.assertEqual(done, [3])

    async def test_cancelled_before_it_began(self) -> None:
        """It is not done, and its time no longer runs."""
        first = self.hold()
        done: list[int] = []
        second = self.lane.submit(_append(done, 2))
        second.cancel()
        with self.assertRaises(CancelledError):
            await second
        self.let_go.set()
        await first
        await self.lane.submit(_append(done, 3))
        self.assertEqual(done, [3])

    async def test_a_run_that_fails(self) -> None:
        """All that were in it fail with it, and the next ones are run."""
        failing: Lane[str] = Lane(reactor, "test", self._fail_once)
        self.addCleanup(failing.close)
        with self.assertRaises(ZeroDivisionError):
            await failing.submit(len)
        self.assertEqual(await failing.submit(len), 5)

    def _fail_once(self, jobs: Sequence[Job[str]]) -> None:
        if not self.together:
            self.together.append(0)
            raise ZeroDivisionError
        self.run_jobs(jobs)

    async def test_close(self) -> None:
        """The thread ends when it has done what waits, and not before."""
        closing: Lane[str] = Lane(reactor, "closing", self.run_jobs)
        (thread,) = [one for one in threading.enumerate() if one.name == "closing-0"]
        answer = closing.submit(len)
        await closing.close()
        self.assertEqual(await answer, 5)
        thread.join(20)  # its last word was that it ends
        self.assertFalse(thread.is_alive())


def _append(done: list[int], number: int) -> Callable[[str], None]:
    return lambda _: done.append(number)
