"""Tests for nodetrust.client.forward.behind, by a clock; that a node proves itself is tested over sockets."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

import nodetrust.client.forward.behind as behind_module
from nodetrust.client.forward.behind import CHECK_SECONDS, DOUBT_SECONDS, RETRY_SECONDS, NodeBehind
from nodetrust.client.forward.errors import NoNode
from nodetrust.client.forward.target import Target
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.peer_id import PeerId

ONE, TWO = (PrivateKey.from_seed(bytes([n]) * 32).peer_id for n in (1, 2))


class NodeBehindTests(SynchronousTestCase):
    """What is told of the node, and when it is asked again."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[Deferred[PeerId]] = []
        self.told: list[PeerId | None] = []
        self.patch(behind_module, "node_peer", self.node_peer)
        self.behind = NodeBehind(self.clock, Target.parse("tcp:127.0.0.1:4001"), self.told.append)
        self.behind.start()

    async def node_peer(self, reactor: object, target: Target) -> PeerId:
        self.asked.append(Deferred())
        return await self.asked[-1]

    def found(self, peer: PeerId | None) -> None:
        """The node has been asked, and this came out."""
        if peer is None:
            self.asked[-1].errback(NoNode("nobody is at tcp:127.0.0.1:4001"))
        else:
            self.asked[-1].callback(peer)

    def test_found(self) -> None:
        """The first answer is told; the same one again is not."""
        self.found(ONE)
        self.clock.advance(CHECK_SECONDS)
        self.found(ONE)
        self.assertEqual(([ONE], ONE, 2), (self.told, self.behind.peer, len(self.asked)))

    def test_nobody(self) -> None:
        """That nobody is there is an answer, too, told and logged once; then it is asked more often."""
        with capturedLogs() as logged:
            self.found(None)
            for _ in range(10):
                self.clock.advance(RETRY_SECONDS)
                self.found(None)
        self.assertEqual([None], self.told)
        self.assertEqual(1, len([event for event in logged if "nobody is at" in (formatEvent(event) or "")]))
        self.clock.advance(RETRY_SECONDS)
        self.found(ONE)
        self.assertEqual([None, ONE], self.told)

    def test_replaced(self) -> None:
        """Another node in its place is told, and so is none."""
        self.found(ONE)
        self.clock.advance(CHECK_SECONDS)
        self.found(TWO)
        self.clock.advance(CHECK_SECONDS)
        self.found(None)
        self.assertEqual(([ONE, TWO, None], None), (self.told, self.behind.peer))

    def test_doubt(self) -> None:
        """Whoever found nobody has it asked soon, once for all of them; while it is asked that changes nothing."""
        self.behind.doubt()
        self.found(ONE)
        for _ in range(100):
            self.clock.advance(DOUBT_SECONDS / 200)
            self.behind.doubt()
        self.assertEqual(1, len(self.asked))
        self.clock.advance(DOUBT_SECONDS)
        self.assertEqual(2, len(self.asked))
        self.behind.doubt()
        self.found(None)
        self.assertEqual([ONE, None], self.told)

    def test_stop(self) -> None:
        """After the stop nothing is asked or told, whether an answer was waited for or not."""
        self.behind.stop()
        self.assertEqual(([], []), (self.told, self.clock.getDelayedCalls()))
        self.setUp()
        self.found(ONE)
        self.behind.stop()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.behind.doubt()
        self.assertEqual(1, len(self.asked))

    def test_a_bug(self) -> None:
        """A failure of whoever is told is logged, and the watch goes on."""
        self.behind = NodeBehind(self.clock, Target.parse("tcp:127.0.0.1:4001"), lambda _: 1 / 0)
        self.behind.start()
        self.found(ONE)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.clock.advance(CHECK_SECONDS)
        self.assertEqual(3, len(self.asked))
