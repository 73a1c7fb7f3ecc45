"""One question to the gateway, and its answer."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.portmap.errors import NoAnswerError, RefusedError
from nodetrust.portmap.exchange import ask
from tests.portmap.fakes import PLACE, SOURCE, DatagramReactor


def _read(data: bytes) -> bytes | None:
    if data == b"no":
        raise RefusedError("it says no")
    return data if data == b"yes" else None


class AskTests(SynchronousTestCase):
    def ask(self, *answers: Any) -> "Deferred[bytes]":
        self.reactor = DatagramReactor(lambda data, to: list(answers))
        return Deferred.fromCoroutine(ask(self.reactor, PLACE.gateway, b"request", _read))

    def test_answer(self) -> None:
        """The first answer is it; the socket is closed and nothing waits any more."""
        asked = self.ask(b"yes", b"yes", b"no")
        self.reactor.settle()
        self.assertEqual(self.successResultOf(asked), b"yes")
        self.assertEqual(self.reactor.sent, [(b"request", SOURCE)])
        self.assertEqual((self.reactor.open, self.reactor.getDelayedCalls()), (0, []))

    def test_refusal(self) -> None:
        """A refusal is an answer."""
        asked = self.ask(b"no", b"yes")
        self.reactor.settle()
        self.failureResultOf(asked, RefusedError)

    def test_strangers(self) -> None:
        """What comes from another address or port is not heard, nor what is no answer."""
        asked = self.ask((b"yes", ("192.168.1.66", 5351)), (b"no", (SOURCE[0], 53)), b"maybe")
        self.reactor.settle()
        self.assertNoResult(asked)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)

    def test_resent(self) -> None:
        """Without an answer the request is sent three times in all, and given up after less than two seconds."""
        asked = self.ask()
        self.reactor.pump([0.05] * 40)
        self.assertEqual(len(self.reactor.sent), 3)
        self.failureResultOf(asked, NoAnswerError)
        self.assertEqual(self.reactor.open, 0)

    def test_nothing_listens(self) -> None:
        """A port that the system closes, or tells to be refused, ends the wait at once."""
        for tell in ("doStop", "connectionRefused"):
            asked = self.ask()
            getattr(self.reactor.protocols[0], tell)()
            self.failureResultOf(asked, NoAnswerError)
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_no_way(self) -> None:
        """A network that is down, and a process without sockets, are errors in words."""
        for trouble in ("unreachable", "full"):
            reactor = DatagramReactor(lambda data, to: [])
            setattr(reactor, trouble, True)
            self.failureResultOf(Deferred.fromCoroutine(ask(reactor, PLACE.gateway, b"request", _read)), NoAnswerError)
            self.assertEqual((reactor.open, reactor.getDelayedCalls()), (0, []))

    def test_cancelled(self) -> None:
        """Whoever does not want to know any more leaves nothing behind."""
        asked = self.ask()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertEqual((self.reactor.open, self.reactor.getDelayedCalls()), (0, []))
