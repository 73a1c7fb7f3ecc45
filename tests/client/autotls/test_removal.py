"""Taking a challenge back: asked once at a time, and never anybody's trouble."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.autotls.errors import BrokerUnreachable
from nodetrust.client.autotls.removal import REMOVAL_SECONDS, Removal


class FakeBroker:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Deferred[bool]] = []
        self.given_up: list[Deferred[bool]] = []

    def remove(self) -> Deferred[bool]:
        self.asked.append(Deferred(self.given_up.append))
        return self.asked[-1]

    def __str__(self) -> str:
        return "the broker"


class RemovalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.broker: Any = FakeBroker()
        self.removal = Removal(self.clock, self.broker)

    def levels(self, events: Any) -> list[Any]:
        return [event["log_level"] for event in events]

    def test_once_at_a_time(self) -> None:
        """Whoever waits is told when it is over; the next time it is asked again."""
        self.assertIsNone(self.successResultOf(self.removal.over()))
        self.removal.begin()
        self.removal.begin()
        over = [self.removal.over(), self.removal.over()]
        for one in over:
            self.assertNoResult(one)
        self.assertEqual(len(self.broker.asked), 1)
        self.broker.asked[0].callback(True)
        for one in over:
            self.assertIsNone(self.successResultOf(one))
        self.removal.begin()
        self.assertEqual(len(self.broker.asked), 2)

    def test_a_broker_that_cannot(self) -> None:
        """It is asked once, and nobody is warned."""
        with capturedLogs() as events:
            self.removal.begin()
            self.broker.asked[0].callback(False)
            self.removal.begin()
        self.assertEqual(len(self.broker.asked), 1)
        self.assertEqual(self.levels(events), [LogLevel.info])
        self.successResultOf(self.removal.over())

    def test_a_broker_that_fails(self) -> None:
        """It may be able to the next time, and nobody is warned."""
        with capturedLogs() as events:
            self.removal.begin()
            self.broker.asked[0].errback(BrokerUnreachable("gone"))
        self.removal.begin()
        self.assertEqual((len(self.broker.asked), self.levels(events)), (2, [LogLevel.info]))

    def test_a_broker_that_is_silent(self) -> None:
        """It is given up in time, and nobody is warned."""
        with capturedLogs() as events:
            self.removal.begin()
            over = self.removal.over()
            self.clock.advance(REMOVAL_SECONDS)
        self.assertEqual(self.broker.given_up, self.broker.asked)
        self.assertIsNone(self.successResultOf(over))
        self.assertEqual(self.levels(events), [LogLevel.info])

    def test_who_waits_no_more(self) -> None:
        """An order that is given up leaves the removal alone."""
        self.removal.begin()
        over = self.removal.over()
        over.cancel()
        self.failureResultOf(over, CancelledError)
        self.assertEqual(self.broker.given_up, [])
        self.broker.asked[0].callback(True)
        self.successResultOf(self.removal.over())

    def test_a_bug(self) -> None:
        """It is logged as one, and stands in nobody's way."""
        self.removal.begin()
        self.broker.asked[0].errback(ZeroDivisionError())
        self.successResultOf(self.removal.over())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
