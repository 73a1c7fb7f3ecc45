"""Tests for nodetrust.client.forward.pipe: every end and every pause, in memory."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from nodetrust.client.forward.errors import NoNode
from nodetrust.client.forward.pipe import (
    ANSWERS,
    DRAIN_SECONDS,
    GOING_AWAY,
    NORMAL_CLOSURE,
    STALLED_LOOKS,
    TRY_AGAIN_LATER,
    Pipe,
)
from nodetrust.libp2p.channel import MAX_UNREAD_BYTES, Channel
from nodetrust.libp2p.limits import MIN_IDLE_SECONDS, ConnectionBudget, Limits, Ticket
from nodetrust.libp2p.upgrade import FIRST_MESSAGE_SECONDS
from nodetrust.testing.memory import MemoryChannel, Wire


class BrowserChannel(MemoryChannel):
    """Our end of a WebSocket: it has no half-close, and knows the code it was closed with."""

    code: int | None = None

    def close(self, code: int) -> None:
        self.code = code
        self.loseConnection()


class BrowserWire(Wire):
    """`dialer` is the browser, `listener` is what a pipe gets."""

    def __init__(self) -> None:
        super().__init__()
        self.listener = BrowserChannel(443)
        self.dialer.other, self.listener.other = self.listener, self.dialer


@implementer(IHalfCloseableProtocol)
class Remote(Protocol):
    """A browser, or a node: keeps what it gets and how it ended."""

    transport: MemoryChannel

    def __init__(self) -> None:
        self.received = b""
        self.ended = False
        self.lost: type[BaseException] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def readConnectionLost(self) -> None:
        self.ended = True

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure) -> None:
        self.lost = type(reason.value)


class Socket:
    """What a ticket aborts."""

    def __init__(self) -> None:
        self.aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class PipeCase(SynchronousTestCase):
    limits = Limits()

    def setUp(self) -> None:
        self.clock = Clock()
        self.budget = ConnectionBudget(self.limits)
        self.front, self.back = BrowserWire(), Wire()
        self.browser, self.node = Remote(), Remote()
        self.connecting: Deferred[Channel] | None = None
        self.given_up = False
        self.unreachable: list[NoNode] = []
        self.over: list[Pipe] = []
        self.ticket = self.admit()
        self.front.dialer.attach(self.browser)
        self.pipe = Pipe(
            self.front.listener,
            self.ticket,
            self.clock,
            self.connect,
            unreachable=self.unreachable.append,
            over=self.over.append,
        )

    def admit(self) -> Ticket:
        ticket = self.budget.admit(ip_address("192.0.2.1"))
        assert ticket is not None
        ticket.socket = Socket()
        return ticket

    async def connect(self) -> Channel:
        self.connecting = Deferred(self.cancelled)
        return await self.connecting

    def cancelled(self, _: object) -> None:
        self.given_up = True

    def accept(self) -> None:
        """The node has accepted the connection."""
        self.back.listener.attach(self.node)
        self.connecting.callback(self.back.dialer)
        self.pump()

    def open(self) -> None:
        """Both are connected, and the browser has said hello."""
        self.say(b"hello")
        self.accept()

    def pump(self) -> None:
        for _ in range(3):
            self.front.pump()
            self.back.pump()

    def say(self, data: bytes) -> None:
        """The browser does."""
        self.browser.transport.write(data)
        self.pump()

    def answer(self, data: bytes) -> None:
        """The node does."""
        self.node.transport.write(data)
        self.pump()

    def lose(self, wire: Wire, reason: type[Exception]) -> None:
        """A socket of ours is gone."""
        for channel in (wire.dialer, wire.listener):
            wire._lose(channel, reason())
        self.pump()

    def assertOver(self) -> None:
        """Nothing is left behind."""
        self.assertEqual([self.pipe], self.over)
        self.assertEqual([], self.clock.getDelayedCalls())


class BeginningTests(PipeCase):
    """Until both are connected."""

    def test_silence(self) -> None:
        """Who says nothing after the upgrade is dropped soon, and the node never hears of it."""
        self.clock.advance(FIRST_MESSAGE_SECONDS)
        self.pump()
        self.assertIsNone(self.connecting)
        self.assertTrue(self.front.listener.aborted)
        self.assertOver()

    def test_leaves_at_once(self) -> None:
        """Nor does it of who leaves before the first byte, whichever way."""
        for reason in (ConnectionDone, ConnectionLost):
            self.setUp()
            self.lose(self.front, reason)
            self.assertIsNone(self.connecting)
            self.assertOver()

    def test_first_bytes(self) -> None:
        """The node is dialled at the first byte; all that comes before it answers is kept, in bounded memory."""
        self.say(b"first ")
        self.say(b"x" * MAX_UNREAD_BYTES)
        self.assertFalse(self.front.listener.reading)
        self.say(b"second")
        self.assertEqual(b"second", self.browser.transport.outgoing)
        self.accept()
        self.say(b" third")
        self.assertEqual(b"first " + b"x" * MAX_UNREAD_BYTES + b"second third", self.node.received)

    def test_no_first_byte_deadline_after_it(self) -> None:
        """A browser may be silent for as long as it likes once it has begun."""
        self.open()
        self.clock.advance(3600)
        self.assertEqual([], self.over)
        self.assertFalse(self.front.listener.aborted)

    def test_nobody_there(self) -> None:
        """Without a node the browser is told to try again later."""
        self.say(b"hello")
        self.connecting.errback(NoNode("nobody"))
        self.pump()
        self.assertEqual(TRY_AGAIN_LATER, self.front.listener.code)
        self.assertEqual(["nobody"], list(map(str, self.unreachable)))
        self.lose(self.front, ConnectionDone)
        self.assertOver()

    def test_leaves_while_the_node_is_dialled(self) -> None:
        """Then the dial is given up, whichever way the browser left."""
        for reason in (ConnectionDone, ConnectionLost):
            self.setUp()
            self.say(b"hello")
            self.lose(self.front, reason)
            self.assertTrue(self.given_up)
            self.assertEqual([], self.unreachable)
            self.assertOver()

    def test_a_bug_in_connecting(self) -> None:
        """Any other failure is logged as a bug, and the browser dropped."""
        self.say(b"hello")
        self.connecting.errback(ZeroDivisionError())
        self.pump()
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertTrue(self.front.listener.aborted)
        self.assertOver()

    def test_node_that_hangs_up_at_once(self) -> None:
        """A node that is gone when its connection is joined is an end like any other."""
        self.say(b"hello")
        self.back.dialer.deliver(b"no")
        self.back.dialer.deliver_lost(Failure(ConnectionDone()))
        self.connecting.callback(self.back.dialer)
        self.pump()
        self.assertEqual(b"no", self.browser.received)
        self.assertEqual(NORMAL_CLOSURE, self.front.listener.code)


class EndingTests(PipeCase):
    """How an end on one side is an end on the other."""

    def setUp(self) -> None:
        super().setUp()
        self.open()

    def test_both_ways(self) -> None:
        """What one side says the other one hears, as it is."""
        self.answer(b"welcome")
        self.say(b"!")
        self.assertEqual((b"hello!", b"welcome"), (self.node.received, self.browser.received))

    def test_node_ends(self) -> None:
        """A FIN of the node closes the WebSocket as in order, after all that came before it; the node gets one, too."""
        self.node.transport.write(b"last words")
        self.node.transport.loseWriteConnection()
        self.pump()
        self.assertEqual((b"last words", NORMAL_CLOSURE), (self.browser.received, self.front.listener.code))
        self.assertTrue(self.node.ended)
        self.assertFalse(self.back.dialer.aborted)

    def test_node_is_done(self) -> None:
        """So does a connection to the node that is over in order."""
        self.lose(self.back, ConnectionDone)
        self.assertEqual(NORMAL_CLOSURE, self.front.listener.code)
        self.lose(self.front, ConnectionDone)
        self.assertOver()

    def test_node_resets(self) -> None:
        """A reset by the node breaks the WebSocket."""
        self.lose(self.back, ConnectionLost)
        self.assertTrue(self.front.listener.aborted)
        self.assertIsNone(self.front.listener.code)
        self.assertOver()

    def test_browser_closes(self) -> None:
        """A Close of the browser ends the connection to the node in order, after all that came before it."""
        self.browser.transport.write(b"goodbye")
        self.front.pump()
        self.lose(self.front, ConnectionDone)
        self.assertEqual((b"hellogoodbye", True), (self.node.received, self.node.ended))
        self.assertFalse(self.back.dialer.aborted)
        self.node.transport.loseConnection()
        self.pump()
        self.assertIs(ConnectionDone, self.node.lost)
        self.assertOver()

    def test_browser_vanishes(self) -> None:
        """A WebSocket that breaks resets the connection to the node."""
        self.lose(self.front, ConnectionLost)
        self.assertTrue(self.back.dialer.aborted)
        self.assertOver()

    def test_end_that_nobody_takes(self) -> None:
        """What is still to be written when one side has ended may take a little time, and then goes with the rest."""
        for browser_first in (True, False):
            self.setUp()
            self.lose(self.front if browser_first else self.back, ConnectionDone)
            self.assertEqual([], self.over)
            self.clock.advance(DRAIN_SECONDS)
            self.pump()
            self.assertTrue((self.back.dialer if browser_first else self.front.listener).aborted)
            self.assertOver()

    def test_goes_away(self) -> None:
        """A pipe that is closed tells the browser that we are going, once, and ends the node's connection in order."""
        self.pipe.close(GOING_AWAY)
        self.pipe.close()
        self.pump()
        self.assertEqual((GOING_AWAY, True), (self.front.listener.code, self.node.ended))
        self.say(b"late")
        self.assertEqual(b"hello", self.node.received)

    def test_dropped(self) -> None:
        """One that is aborted drops both."""
        self.pipe.abort()
        self.assertTrue(self.front.listener.aborted and self.back.dialer.aborted)
        self.pump()
        self.assertOver()


class PauseTests(PipeCase):
    """Who does not read stops the other from sending."""

    def setUp(self) -> None:
        super().setUp()
        self.open()

    def test_slow_browser(self) -> None:
        """While the browser's socket is full nothing is read of the node."""
        self.front.listener.producer.pauseProducing()
        self.assertFalse(self.back.dialer.reading)
        self.answer(b"x" * 1000)
        self.assertEqual(1000, len(self.node.transport.outgoing))
        self.front.listener.producer.resumeProducing()
        self.pump()
        self.assertEqual(1000, len(self.browser.received))

    def test_slow_node(self) -> None:
        """While the node's socket is full nothing is read of the browser."""
        self.back.dialer.producer.pauseProducing()
        self.assertFalse(self.front.listener.reading)
        self.say(b"x" * 1000)
        self.assertEqual(1000, len(self.browser.transport.outgoing))
        self.back.dialer.producer.resumeProducing()
        self.pump()
        self.assertEqual(b"hello" + b"x" * 1000, self.node.received)

    def test_end_waits_for_what_is_kept(self) -> None:
        """A browser that has closed is forgotten only when the node has taken what it had sent."""
        self.back.dialer.producer.pauseProducing()
        self.front.listener.deliver(b" and goodbye")
        self.lose(self.front, ConnectionDone)
        self.assertFalse(self.node.ended)
        self.back.dialer.producer.resumeProducing()
        self.pump()
        self.assertEqual((b"hello and goodbye", True), (self.node.received, self.node.ended))

    def test_stuck(self) -> None:
        """Who takes nothing for a minute is dropped with the other; so it is if the other has left meanwhile."""
        for browser_is_stuck in (True, False):
            for other_leaves in (False, True):
                self.setUp()
                stuck, other = self.front.listener, self.back.dialer
                if not browser_is_stuck:
                    stuck, other = other, stuck
                stuck.producer.pauseProducing()
                other.deliver(b"kept")
                if other_leaves:
                    self.lose(self.back if browser_is_stuck else self.front, ConnectionDone)
                for _ in range(STALLED_LOOKS):
                    self.pipe.look()
                self.assertEqual([], self.over)
                self.pipe.look()
                self.pump()
                self.assertTrue(stuck.aborted)
                self.assertOver()

    def test_slow_is_not_stuck(self) -> None:
        """Who takes something now and then is left alone, and so is who is idle."""
        producer = self.front.listener.producer
        for _ in range(3 * STALLED_LOOKS):
            producer.pauseProducing()
            self.pipe.look()
            self.pipe.look()
            producer.resumeProducing()
        for _ in range(3 * STALLED_LOOKS):
            self.pipe.look()
        self.assertEqual([], self.over)


class PlaceTests(PipeCase):
    """Who counts as known."""

    limits = Limits(inbound_connections=1)

    def talk(self, turns: int) -> None:
        for turn in range(turns):
            if turn:
                self.say(b"more")
            self.answer(b"two")
            self.answer(b"pieces")

    def test_known_after_its_proof(self) -> None:
        """One is known at the node's third answer, in however many pieces it comes, and not for what it says."""
        self.open()
        self.say(b"x" * 1000)
        self.say(b"x" * 1000)
        self.assertFalse(self.ticket.is_authenticated)
        self.talk(ANSWERS - 1)
        self.assertEqual((1, 0), (self.budget.handshakes, self.budget.inbound))
        self.talk(2)
        self.assertEqual((0, 1), (self.budget.handshakes, self.budget.inbound))

    def test_idle(self) -> None:
        """From then on the one through whom nothing has gone for longest may have to go for another."""
        self.open()
        self.talk(ANSWERS)
        self.clock.advance(MIN_IDLE_SECONDS - 1)
        self.answer(b"still here")
        self.clock.advance(MIN_IDLE_SECONDS - 1)
        self.assertFalse(self.admit().authenticated())
        self.clock.advance(1)
        self.assertEqual(MIN_IDLE_SECONDS, self.pipe.idle_seconds())
        self.assertTrue(self.admit().authenticated())
        self.assertTrue(self.ticket.socket.aborted)

    def test_no_room(self) -> None:
        """Where all places are those of others who are busy, the newcomer is told to try again later."""
        self.assertTrue(self.admit().authenticated())
        self.open()
        self.talk(ANSWERS)
        self.assertEqual(TRY_AGAIN_LATER, self.front.listener.code)
        self.assertTrue(self.node.ended)
