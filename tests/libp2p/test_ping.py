"""Tests for nodetrust.libp2p.ping."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import StreamReset, Timeout
from nodetrust.libp2p.ping import IDLE_SECONDS, MAX_INBOUND_STREAMS, PING_BYTES, PROTOCOL_ID, PingResponder, ping
from nodetrust.testing.memory import Wire


class PingTests(SynchronousTestCase):
    """Both sides of a ping."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.wire = Wire()
        self.responder = PingResponder(self.clock)
        self.peer = SimpleNamespace(connection="a connection")

    def ping(self) -> Deferred[float]:
        async def open_stream(protocol_ids: list[str], lazy: bool) -> object:
            self.assertEqual([PROTOCOL_ID], protocol_ids)
            return self.wire.dialer

        connection = SimpleNamespace(open_stream=open_stream)
        return Deferred.fromCoroutine(ping(connection, bytes(range(PING_BYTES)), self.clock))

    def listen(self) -> None:
        self.wire.listener.attach(self.responder.buildProtocol(self.peer))

    def test_there_and_back(self) -> None:
        """The time between sending and the last byte of the answer is what counts; then both ends are closed."""
        self.listen()
        waiting = self.ping()
        self.clock.advance(0.5)
        self.assertNoResult(waiting)
        self.wire.pump(1)
        self.assertEqual(0.5, self.successResultOf(waiting))
        self.assertTrue(self.wire.dialer.disconnecting and self.wire.listener.disconnecting)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_wrong_answer(self) -> None:
        """Other bytes than those sent are no answer."""
        waiting = self.ping()
        self.wire.listener.write(bytes(PING_BYTES))
        self.wire.pump()
        self.failureResultOf(waiting, StreamReset)
        self.assertTrue(self.wire.dialer.aborted)

    def test_no_answer(self) -> None:
        """A ping that is not answered in time fails, and so does one whose stream ends."""
        waiting = self.ping()
        self.clock.advance(IDLE_SECONDS)
        self.failureResultOf(waiting, Timeout)
        self.assertTrue(self.wire.dialer.aborted)
        self.wire = Wire()
        waiting = self.ping()
        self.wire.listener.abortConnection()
        self.wire.pump()
        self.failureResultOf(waiting, StreamReset)

    def test_many_pings(self) -> None:
        """A listener answers whole pings, in whatever pieces they come, as long as they keep coming."""
        self.listen()
        for _ in range(3):
            self.clock.advance(IDLE_SECONDS - 1)
            self.wire.dialer.write(bytes(PING_BYTES + 8) + bytes(PING_BYTES - 8))
            self.wire.pump(7)
        self.assertFalse(self.wire.listener.aborted)
        self.clock.advance(IDLE_SECONDS)
        self.assertTrue(self.wire.listener.aborted)

    def test_at_most_two(self) -> None:
        """A peer holds so many ping streams open; one that ends makes room."""
        built = [self.responder.buildProtocol(self.peer) for _ in range(MAX_INBOUND_STREAMS + 1)]
        self.assertIsNone(built.pop())
        self.wire.listener.attach(built[0])
        self.wire.dialer.abortConnection()
        self.wire.pump()
        self.assertIsNotNone(self.responder.buildProtocol(self.peer))
