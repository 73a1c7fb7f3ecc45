"""Work that is done once for all who ask for the same while it is under way."""

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.issue.sharing import Sharing


class SharingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sharing: Sharing[str] = Sharing()
        self.begun: list[Deferred[str]] = []

    def work(self) -> Coroutine[Any, Any, str]:
        one: Deferred[str] = Deferred()
        self.begun.append(one)

        async def work() -> str:
            return await one

        return work()

    def get(self, key: str = "a") -> Deferred[str]:
        return self.sharing.get(key, self.work)

    def test_same_and_other(self) -> None:
        """The same waits for what was begun, something else begins."""
        first, second, other = self.get(), self.get(), self.get("b")
        self.assertEqual(len(self.begun), 2)
        self.begun[0].callback("done")
        self.assertEqual((self.successResultOf(first), self.successResultOf(second)), ("done", "done"))
        self.assertNoResult(other)

    def test_a_failure_is_everybodys(self) -> None:
        """All who wait are told."""
        waiting = [self.get(), self.get()]
        self.begun[0].errback(ValueError("no"))
        for one in waiting:
            self.failureResultOf(one, ValueError)

    def test_what_is_done_is_begun_anew(self) -> None:
        """Nothing is remembered."""
        first = self.get()
        self.begun[0].callback("one")
        second = self.get()
        self.begun[1].callback("two")
        self.assertEqual((self.successResultOf(first), self.successResultOf(second)), ("one", "two"))
        self.assertEqual(len(self.sharing), 0)

    def test_at_once(self) -> None:
        """Work that waits for nothing is done when `get` returns."""

        async def work() -> str:
            return "done"

        self.assertEqual(self.successResultOf(self.sharing.get("a", work)), "done")
        self.assertEqual(len(self.sharing), 0)

    def test_who_gives_up(self) -> None:
        """The others still get it."""
        first, second = self.get(), self.get()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.begun[0].callback("done")
        self.assertEqual(self.successResultOf(second), "done")

    def test_when_the_last_gives_up(self) -> None:
        """The work is cancelled, and who asks then begins it anew, also while it takes its time to end."""
        first, second = self.get(), self.get()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertFalse(self.begun[0].called)
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.assertTrue(self.begun[0].called)
        third = self.get()
        self.begun[1].callback("anew")
        self.assertEqual(self.successResultOf(third), "anew")
        self.assertEqual(len(self.sharing), 0)
