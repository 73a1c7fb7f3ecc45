"""PubSub on real hosts over loopback."""

from random import SystemRandom

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.pubsub.service import PubSub

LOOPBACK = Multiaddr.parse("/ip4/127.0.0.1/tcp/0")
PATIENCE_SECONDS = 30


class Node:
    """A host with pubsub that remembers what it hears in the topic `t`, and lets a test wait for it."""

    def __init__(self) -> None:
        self.host = Host(reactor, PrivateKey.generate())
        self.pubsub = PubSub(self.host, reactor, SystemRandom())
        self.pubsub.start()
        self.heard: list[tuple[bytes, object]] = []
        self._waiting: list[tuple[int, Deferred[None]]] = []

    def listen_in(self):
        return self.pubsub.subscribe("t", self._hear)

    def _hear(self, message) -> None:
        self.heard.append((message.data, message.source))
        for count, waiting in self._waiting:
            if count == len(self.heard):
                waiting.callback(None)

    async def hears(self, count: int):
        """What was heard, as soon as it is `count` messages."""
        if len(self.heard) < count:
            waiting: Deferred[None] = Deferred()
            waiting.addTimeout(PATIENCE_SECONDS, reactor)
            self._waiting.append((count, waiting))
            await waiting
        return self.heard

    async def knows(self, *others: "Node") -> None:
        """Wait until these subscribe to the topic, as far as this node knows."""
        wanted = {other.host.peer_id for other in others}
        for _ in range(PATIENCE_SECONDS * 100):
            if wanted <= self.pubsub.peers("t"):
                return
            await deferLater(reactor, 0.01)
        raise AssertionError(f"{self.pubsub.peers('t')} are not {wanted}")


class PubSubTests(TestCase):
    def _node(self) -> Node:
        node = Node()
        self.addCleanup(node.host.stop)
        self.addCleanup(node.pubsub.stop)
        return node

    async def _dial(self, dialer: Node, listener: Node) -> None:
        address = await listener.host.listen(LOOPBACK)
        await dialer.host.connect([address], listener.host.peer_id)

    async def test_two_hosts(self) -> None:
        """A message of either side reaches the other, once, with its author."""
        left, right = self._node(), self._node()
        left.listen_in()
        await self._dial(left, right)
        right.listen_in()
        await left.knows(right)
        await right.knows(left)
        left.pubsub.publish("t", b"from the left")
        right.pubsub.publish("t", b"from the right")
        self.assertEqual(await right.hears(1), [(b"from the left", left.host.peer_id)])
        self.assertEqual(await left.hears(1), [(b"from the right", right.host.peer_id)])

    async def test_forwarded(self) -> None:
        """A message goes through a host in the middle, with its author's name and not back to where it came from."""
        left, middle, right = nodes = self._node(), self._node(), self._node()
        await self._dial(left, middle)
        await self._dial(right, middle)
        for node in nodes:
            node.listen_in()
        await middle.knows(left, right)
        await left.knows(middle)
        # The way on leads through the mesh: wait for a heartbeat to build it.
        while right.host.peer_id not in middle.pubsub.mesh("t"):
            await deferLater(reactor, 0.01)
        left.pubsub.publish("t", b"hello")
        self.assertEqual(await right.hears(1), [(b"hello", left.host.peer_id)])
        self.assertEqual(await middle.hears(1), [(b"hello", left.host.peer_id)])
        await deferLater(reactor, 0.05)
        self.assertEqual([node.heard for node in nodes], [[], *[[(b"hello", left.host.peer_id)]] * 2])

    async def test_unsubscribing(self) -> None:
        """Who has unsubscribed is known not to listen, and hears nothing more."""
        left, right = self._node(), self._node()
        stop_listening = right.listen_in()
        await self._dial(left, right)
        await left.knows(right)
        stop_listening()
        while left.pubsub.peers("t"):
            await deferLater(reactor, 0.01)
        left.pubsub.publish("t", b"nobody")
        await deferLater(reactor, 0.05)
        self.assertEqual(right.heard, [])

    async def test_lost_streams_are_opened_anew(self) -> None:
        """After our stream to a peer is reset, a new one carries the subscriptions and messages again."""
        left, right = self._node(), self._node()
        right.listen_in()
        await self._dial(left, right)
        await left.knows(right)
        (remote,) = left.pubsub._remotes.values()
        await right.knows()
        remote.writer.abort()
        while remote.writer is not None:
            await deferLater(reactor, 0.01)
        while remote.writer is None:
            await deferLater(reactor, 0.01)
        left.pubsub.publish("t", b"again")
        self.assertEqual(await right.hears(1), [(b"again", left.host.peer_id)])

    async def test_lost_peers_are_forgotten(self) -> None:
        """With the last connection everything about the peer's pubsub goes."""
        left, right = self._node(), self._node()
        right.listen_in()
        await self._dial(left, right)
        await left.knows(right)
        for connection in left.host.connections():
            await connection.close()
        self.assertEqual((left.pubsub.peers("t"), left.pubsub._remotes), (frozenset(), {}))

    async def test_stopping(self) -> None:
        """After `stop` the other side knows that nobody listens any more, and no stream is left between the two."""
        left, right = self._node(), self._node()
        right.listen_in()
        await self._dial(left, right)
        await left.knows(right)
        right.pubsub.stop()
        while left.pubsub.peers("t"):
            await deferLater(reactor, 0.01)
        self.assertEqual(right.pubsub._remotes, {})
