"""Tests for nodetrust.libp2p.staggered."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.staggered import AllFailed, first_success


class FirstSuccessTests(SynchronousTestCase):
    """Attempts begin one after the other, and the first that succeeds ends the rest."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.begun: list[Deferred[str]] = []
        self.cancelled: list[int] = []

    def start(self, count: int) -> Deferred[str]:
        def attempt() -> Deferred[str]:
            index = len(self.begun)
            self.begun.append(Deferred(lambda _: self.cancelled.append(index)))
            return self.begun[index]

        return Deferred.fromCoroutine(first_success([attempt] * count, self.clock, 0.25))

    def test_stagger(self) -> None:
        """The next attempt begins when the last one has had its time, and not before."""
        self.start(3)
        self.assertEqual(1, len(self.begun))
        self.clock.advance(0.24)
        self.assertEqual(1, len(self.begun))
        self.clock.advance(0.01)
        self.assertEqual(2, len(self.begun))

    def test_failure_begins_the_next(self) -> None:
        """When all that were begun have failed, the next begins at once."""
        self.start(2)
        self.begun[0].errback(ValueError("no"))
        self.assertEqual(2, len(self.begun))

    def test_winner(self) -> None:
        """The first success is the result; the others are cancelled, and no timer is left."""
        race = self.start(3)
        self.clock.advance(0.25)
        self.begun[1].callback("second")
        self.assertEqual("second", self.successResultOf(race))
        self.assertEqual([0], self.cancelled)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_all_failed(self) -> None:
        """If none succeeds, every reason is told, in the attempts' order."""
        race = self.start(2)
        self.clock.advance(0.25)
        self.begun[1].errback(ValueError("second"))
        self.begun[0].errback(ValueError("first"))
        failed = self.failureResultOf(race, AllFailed).value
        self.assertEqual(["first", "second"], [str(reason) for reason in failed.reasons])

    def test_none(self) -> None:
        """No attempts are a failure without reasons."""
        self.assertEqual((), self.failureResultOf(self.start(0), AllFailed).value.reasons)

    def test_cancelled(self) -> None:
        """Whoever cancels the race cancels the attempts."""
        race = self.start(2)
        self.clock.advance(0.25)
        race.cancel()
        self.failureResultOf(race, CancelledError)
        self.assertEqual([0, 1], self.cancelled)
        self.assertEqual([], self.clock.getDelayedCalls())
