"""A forwarder between browsers and nodes, over real loopback sockets."""

from __future__ import annotations

import hashlib
import os
import resource
import socket
import tempfile
from pathlib import Path
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.protocols.portforward import ProxyFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

import nodetrust.client.forward.behind as behind_module
import nodetrust.client.forward.pipe as pipe_module
from nodetrust.client.forward import Forwarder, NodeBehind, NoNode, Target, node_peer
from nodetrust.client.forward.pipe import GOING_AWAY, TRY_AGAIN_LATER
from nodetrust.libp2p.errors import DialError, ListenError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.limits import ConnectionBudget, Limits
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.ping import ping
from nodetrust.libp2p.transports import CertificateStore, TransportAddress, UnsupportedAddress, WebSocketTransport
from nodetrust.libp2p.transports.websocket_channel import WebSocketChannel
from tests.interop.streams import DIGEST, ECHO, handle_streams, pattern, send_and_receive
from tests.libp2p.throwaway_ca import ThrowawayCa

WSS, TCP = "/ip4/127.0.0.1/tcp/0/tls/ws", "/ip4/127.0.0.1/tcp/0"
PIECE = os.urandom(64 * 1024)
MANY_BYTES = 64_000_000
"""More than all sockets on the way can hold: four, of which the system lets each have a few megabytes."""


class Raw(Protocol):
    """A node, or a browser, for which bytes are only bytes."""

    transport: Any

    def __init__(self) -> None:
        self.size = 0
        self.digest = hashlib.sha256()
        self.lost: Deferred[Failure] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.size += len(data)
        self.digest.update(data)

    def connectionLost(self, reason: Failure) -> None:
        self.lost.callback(reason.value)


class Source:
    """A pull producer that writes PIECE until so many bytes are out."""

    def __init__(self, transport: Any, size: int) -> None:
        self.written = 0
        self.digest = hashlib.sha256()
        self._transport = transport
        self._size = size
        transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        if self.written >= self._size:
            self._transport.unregisterProducer()
            return
        self.written += len(PIECE)
        self.digest.update(PIECE)
        self._transport.write(PIECE)

    def stopProducing(self) -> None:
        self._size = 0


class ForwardCase(TestCase):
    timeout = 300

    def setUp(self) -> None:
        self.ca = ThrowawayCa()
        self.store = CertificateStore()
        self.store.set(["127.0.0.1"], *self.ca.issue(["127.0.0.1"]))
        self.nodes: list[Raw] = []

    def host(self, **options: Any) -> Host:
        host = Host(reactor, PrivateKey.generate(), trust_root=self.ca.trust_root, **options)
        self.addCleanup(host.stop)
        handle_streams(host)
        return host

    async def node(self, listen: str = TCP) -> tuple[Host, Target]:
        """A libp2p node, and where it is."""
        host = self.host()
        address = await host.listen(Multiaddr.parse(listen))
        ip6 = address.get("ip6")
        return host, Target.parse(
            f"tcp6:[{ip6}]:{address.get('tcp')}" if ip6 else f"tcp:127.0.0.1:{address.get('tcp')}"
        )

    async def forward(self, target: Target, **options: Any) -> tuple[Forwarder, Multiaddr]:
        forwarder = Forwarder(reactor, target, **options)
        self.addCleanup(lambda: Deferred.fromCoroutine(forwarder.stop()))
        return forwarder, await forwarder.listen(Multiaddr.parse(WSS), self.store)

    async def raw_node(self) -> Target:
        """A TCP server whose connections stand in `nodes`."""

        def accept(_: object) -> Raw:
            self.nodes.append(Raw())
            return self.nodes[-1]

        factory = Factory()
        factory.buildProtocol = accept  # type: ignore[method-assign]
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.addCleanup(port.stopListening)
        return Target.parse(f"tcp:127.0.0.1:{port.getHost().port}")

    async def browser(self, address: Multiaddr, first: bytes | None = b"hello") -> Raw:
        """A WebSocket to the forwarder that speaks no libp2p, and has said `first`."""
        transport = WebSocketTransport(reactor, ConnectionBudget(Limits()), trust_root=self.ca.trust_root)
        raw = await transport.dial(TransportAddress.from_multiaddr(address))
        browser = Raw()
        raw.channel.attach(browser)
        self.addCleanup(lambda: None if browser.lost.called else raw.channel.abortConnection())
        if first is not None:
            browser.transport.write(first)
        return browser

    async def joined(self, **options: Any) -> tuple[Raw, Raw]:
        """A browser and a node that are joined."""
        _, address = await self.forward(await self.raw_node(), **options)
        browser = await self.browser(address)
        await self.until(lambda: self.nodes and self.nodes[0].size == len(b"hello"))
        return browser, self.nodes[0]

    async def until(self, condition: Any) -> None:
        while not condition():
            await deferLater(reactor, 0.01)

    @staticmethod
    def code(browser: Raw) -> int | None:
        """With which code the WebSocket was closed."""
        return cast(Any, cast(WebSocketChannel, browser.transport))._websocket.remoteCloseCode


class NodeTests(ForwardCase):
    """A libp2p node behind a forwarder."""

    async def check(self, target: Target, node: Host) -> None:
        forwarder, address = await self.forward(target)
        self.assertTrue(str(address).endswith("/tls/ws"))
        dialer = self.host()
        connection = await dialer.connect([address], node.peer_id)
        self.assertGreater(await ping(connection, os.urandom(32), reactor), 0)
        data = pattern(3_000_000)
        self.assertEqual(data, (await send_and_receive(connection, ECHO, data)).data)
        [accepted] = node.connections(dialer.peer_id)
        back = await send_and_receive(accepted, DIGEST, data)
        self.assertEqual(hashlib.sha256(data).hexdigest(), back.data.decode())
        self.assertEqual(1, forwarder.connections)
        await connection.close()
        await self.until(lambda: not forwarder.connections and not node.connections(dialer.peer_id))

    async def test_tcp(self) -> None:
        """It is dialled over verified TLS, proves its own peer ID, and streams go both ways, whoever opens them."""
        node, target = await self.node()
        await self.check(target, node)

    async def test_tcp6(self) -> None:
        """The same with a node that listens on IPv6."""
        node, target = await self.node("/ip6/::1/tcp/0")
        await self.check(target, node)

    async def test_unix(self) -> None:
        """The same with one at a UNIX socket."""
        node, target = await self.node()
        folder = tempfile.TemporaryDirectory()  # a socket's path has at most 107 bytes, and Trial's own may be longer
        self.addCleanup(folder.cleanup)
        path = Path(folder.name, "node")
        port = cast(Any, reactor).listenUNIX(str(path), ProxyFactory("127.0.0.1", target.port))
        self.addCleanup(port.stopListening)
        await self.check(Target.parse(f"unix:{path}"), node)

    async def test_other_peer(self) -> None:
        """Who expects another peer is not deceived: the node can prove its own ID only."""
        _, target = await self.node()
        _, address = await self.forward(target)
        other = PrivateKey.generate().peer_id
        await self.assertFailure(Deferred.fromCoroutine(self.host().connect([address], other)), DialError)

    async def test_wss_only(self) -> None:
        """What is no address of secure WebSocket is refused, and so is one that is taken."""
        forwarder, address = await self.forward(Target.parse("tcp:127.0.0.1:1"))
        for refused, error in (("/ip4/127.0.0.1/tcp/0/ws", UnsupportedAddress), (str(address), ListenError)):
            listening = Deferred.fromCoroutine(forwarder.listen(Multiaddr.parse(refused), self.store))
            await self.assertFailure(listening, error)


class WhoTests(ForwardCase):
    """Who is behind."""

    async def test_node_peer(self) -> None:
        """It is asked over its plain listener, and the connection is gone again."""
        node, target = await self.node()
        self.assertEqual(node.peer_id, await node_peer(reactor, target))
        await self.until(lambda: not node.connections())

    async def test_nobody(self) -> None:
        """Where nobody listens, no such name, no such path: an error in one line that names the target."""
        closed = socket.socket()
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        self.addCleanup(closed.close)
        for text in (f"tcp:127.0.0.1:{port}", f"tcp6:[::1]:{port}", "unix:/nonexistent/node.sock"):
            asked = Deferred.fromCoroutine(node_peer(reactor, Target.parse(text)))
            error = await self.assertFailure(asked, NoNode)
            self.assertIn(text, str(error))
            self.assertNotIn("\n", str(error))

    async def test_no_libp2p(self) -> None:
        """Neither is a server of something else a node, nor one that hangs up, nor one that says nothing in time."""
        self.patch(behind_module, "upgrade_outbound", _hasty(behind_module.upgrade_outbound))
        for greeting, hang_up in ((b"HTTP/1.1 400 Bad Request\r\n\r\n", False), (b"", True), (b"", False)):
            target = await self.raw_node()
            asked = Deferred.fromCoroutine(node_peer(reactor, target))
            await self.until(lambda: self.nodes and self.nodes[-1].size)
            self.nodes[-1].transport.write(greeting)
            if hang_up:
                self.nodes[-1].transport.loseConnection()
            error = await self.assertFailure(asked, NoNode)
            self.assertIn("no libp2p node is at", str(error))
            await self.nodes.pop().lost

    async def test_watch(self) -> None:
        """A node that comes, goes and is replaced is noticed, sooner when a browser was sent away."""
        self.patch(behind_module, "RETRY_SECONDS", 0.05)
        self.patch(behind_module, "DOUBT_SECONDS", 0.0)
        _, place = await self.node()
        await cast(Host, _).stop()
        told: list[PeerId | None] = []
        behind = NodeBehind(reactor, place, told.append)
        self.addCleanup(behind.stop)
        _, address = await self.forward(place, on_unreachable=behind.doubt)
        behind.start()
        await self.until(lambda: told)
        peers: list[PeerId | None] = [None]
        for _ in range(2):
            node = self.host()
            await node.listen(Multiaddr.parse(f"/ip4/127.0.0.1/tcp/{place.port}"))
            await self.until(lambda: behind.peer == node.peer_id)  # noqa: B023
            await node.stop()
            browser = await self.browser(address)
            await browser.lost
            await self.until(lambda: behind.peer is None)
            peers += [node.peer_id, None]
        self.assertEqual(peers, told)


def _hasty(upgrade: Any) -> Any:
    """The upgrade, with less patience."""

    async def hasty(channel: Any, *arguments: Any) -> Any:
        upgrading = Deferred.fromCoroutine(upgrade(channel, *arguments))
        return await upgrading.addTimeout(0.3, reactor, lambda *_: (_ for _ in ()).throw(DialError("too slow")))

    return hasty


class FlowTests(ForwardCase):
    """However much one side sends, what waits here is little."""

    async def check(self, sender: Raw, receiver: Raw) -> None:
        receiver.transport.pauseProducing()
        source = Source(sender.transport, MANY_BYTES)
        before = _resident_bytes()
        written = -1
        while written != source.written:  # until it stands still
            written = source.written
            await deferLater(reactor, 0.5)
        self.assertLess(written, MANY_BYTES)
        self.assertLess(_resident_bytes() - before, 16_000_000)
        already = receiver.size
        receiver.transport.resumeProducing()
        await self.until(lambda: receiver.size - already >= MANY_BYTES)
        self.assertEqual(source.written, receiver.size - already)

    async def test_browser_that_does_not_read(self) -> None:
        """It stops the node, and when it reads again it gets every byte."""
        browser, node = await self.joined()
        await self.check(node, browser)

    async def test_node_that_does_not_read(self) -> None:
        """It stops the browser, and when it reads again it gets every byte."""
        browser, node = await self.joined()
        await self.check(browser, node)

    async def test_node_that_never_reads(self) -> None:
        """Whoever is stuck is given up after a while, with the other."""
        self.patch(pipe_module, "STALLED_LOOKS", 1)
        forwarder, address = await self.forward(await self.raw_node())
        browser = await self.browser(address)
        await self.until(lambda: self.nodes)
        self.nodes[0].transport.pauseProducing()
        source = Source(browser.transport, MANY_BYTES)
        written = -1
        while written != source.written:
            written = source.written
            await deferLater(reactor, 0.5)
        for _ in range(2):
            forwarder._look()
        self.assertNotIsInstance(await browser.lost, ConnectionDone)
        await self.until(lambda: not forwarder.connections)
        self.nodes[0].transport.resumeProducing()
        self.assertNotIsInstance(await self.nodes[0].lost, ConnectionDone)


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class EndTests(ForwardCase):
    """Who ends, and what the other sees."""

    async def test_node_closes(self) -> None:
        """The browser gets all, then an orderly Close."""
        browser, node = await self.joined()
        node.transport.write(PIECE)
        node.transport.loseConnection()
        self.assertIsInstance(await browser.lost, ConnectionDone)
        self.assertEqual((len(PIECE), 1000), (browser.size, self.code(browser)))

    async def test_node_resets(self) -> None:
        """The browser sees the connection break, without a Close."""
        browser, node = await self.joined()
        node.transport.abortConnection()
        self.assertNotIsInstance(await browser.lost, ConnectionDone)
        self.assertIsNone(self.code(browser))

    async def test_browser_closes(self) -> None:
        """The node gets all, then a FIN."""
        browser, node = await self.joined()
        browser.transport.write(PIECE)
        browser.transport.loseConnection()
        self.assertIsInstance(await node.lost, ConnectionDone)
        self.assertEqual(len(b"hello") + len(PIECE), node.size)

    async def test_browser_vanishes(self) -> None:
        """The node gets a reset."""
        browser, node = await self.joined()
        browser.transport.abortConnection()
        self.assertNotIsInstance(await node.lost, ConnectionDone)

    async def test_nobody_there(self) -> None:
        """While there is no node a browser is told so by a code, and the log has one line, however many come."""
        target = await self.raw_node()
        failures: list[None] = []
        closed = Target.parse(f"tcp:127.0.0.1:{_closed_port(self)}")
        forwarder, address = await self.forward(closed, on_unreachable=lambda: failures.append(None))
        with capturedLogs() as logged:
            for _ in range(5):
                browser = await self.browser(address)
                await browser.lost
                self.assertEqual(TRY_AGAIN_LATER, self.code(browser))
        lines = [line for line in map(formatEvent, logged) if line and "sent away" in line]
        self.assertEqual((5, 1, 0), (len(failures), len(lines), len(self.nodes)))
        self.assertIn(str(closed), lines[0])
        self.assertNotEqual(target, closed)
        await self.until(lambda: not forwarder.connections)

    async def test_stop(self) -> None:
        """The stop tells the browsers, ends what they have with the node, and returns when all is closed."""
        forwarder, address = await self.forward(await self.raw_node(), limits=Limits(handshakes=8))
        known, silent = await self.browser(address), await self.browser(address, first=None)
        for _ in range(4):
            size = known.size
            await self.until(lambda: self.nodes)
            self.nodes[0].transport.write(b"answer")
            await self.until(lambda: known.size > size)  # noqa: B023
            known.transport.write(b"more")
            await self.until(lambda: self.nodes[0].size % 4 == 1)
            await deferLater(reactor, 0.01)
        await forwarder.stop()
        self.assertEqual(0, forwarder.connections)
        for one in (known, silent):
            await one.lost
        await self.nodes[0].lost
        self.assertEqual(GOING_AWAY, self.code(known))
        await forwarder.stop()
        await self.assertFailure(Deferred.fromCoroutine(self.browser(address)), DialError)


def _closed_port(case: TestCase) -> int:
    """A port on which nobody listens as long as the test runs."""
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    case.addCleanup(closed.close)
    port: int = closed.getsockname()[1]
    return port


class CrowdTests(ForwardCase):
    """Strangers who only hold places."""

    async def test_half_open(self) -> None:
        """Two thousand sockets that say nothing keep nobody out, and are gone soon; the node never hears of them."""
        _allow_descriptors(5000)
        node, target = await self.node()
        forwarder, address = await self.forward(target)
        crowd = [socket.socket() for _ in range(2000)]
        self.addCleanup(lambda: [one.close() for one in crowd])
        for number, one in enumerate(crowd):
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", int(address.get("tcp") or 0)))
            if number % 100 == 0:  # no more at once than may come at one moment
                await deferLater(reactor, 0)
        await self.until(lambda: forwarder._budget.handshakes == Limits().handshakes)
        connection = await self.host().connect([address], node.peer_id)
        self.assertGreater(await ping(connection, os.urandom(32), reactor), 0)
        self.assertEqual((1, 1), (forwarder.connections, len(node.connections())))
        self.assertLessEqual(forwarder._budget.handshakes, Limits().handshakes)
        await self.until(lambda: forwarder._budget.open == 1)
        self.assertGreater(await ping(connection, os.urandom(32), reactor), 0)

    async def test_silent_and_babbling(self) -> None:
        """Neither do those who stay silent after the upgrade, or say what the node does not answer."""
        node, target = await self.node()
        forwarder, address = await self.forward(target, limits=Limits(handshakes=4))
        honest = await self.host().connect([address], node.peer_id)
        await self.until(lambda: forwarder._budget.inbound == 1)
        crowd = [await self.browser(address, first) for _ in range(5) for first in (None, b"\x13")]
        self.assertLessEqual(forwarder._budget.handshakes, 4)
        another = await self.host().connect([address], node.peer_id)
        for connection in (honest, another):
            self.assertGreater(await ping(connection, os.urandom(32), reactor), 0)
        for one in crowd:
            await one.lost
        await self.until(lambda: (forwarder._budget.handshakes, forwarder._budget.inbound) == (0, 2))


def _allow_descriptors(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))
