"""Nodes of other implementations, which know of plain TCP only, behind a forwarder of ours."""

import hashlib
from os import urandom
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, trustRootFromCertificates

from nodetrust.client.forward import Forwarder, Target, node_peer
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.ping import ping
from nodetrust.libp2p.transports import CertificateStore
from tests.interop import nameserver
from tests.interop.certificates import make_certificate
from tests.interop.compliance import PING_BYTES, SECURE_WEB_SOCKET, TCP, OurHostTestCase, by_name
from tests.interop.harness import COMMAND_SECONDS, Peer, ProgramError
from tests.interop.nameserver import NAME
from tests.interop.streams import DIGEST, ECHO, pattern, send_and_receive

FOUR_MEGABYTES = 4_000_000


class ForwardTests(OurHostTestCase):
    """Each real node, dialled through the forwarder by us and by real peers."""

    def setUp(self) -> None:
        super().setUp()
        self.files = make_certificate(Path(self.mktemp()), [NAME])
        self.nameserver = self.serve_name()

    async def forward(self, node: Peer) -> str:
        """A forwarder in front of the node; where the node is then, by its name."""
        port = Multiaddr.parse(node.address()).get("tcp")
        target = Target.parse(f"tcp:127.0.0.1:{port}")
        self.assertEqual(node.peer_id, str(await node_peer(self.reactor, target)))
        store = CertificateStore()
        store.set([NAME], self.files.key.read_bytes(), self.files.certificate.read_bytes())
        forwarder = Forwarder(self.reactor, target)
        self.addCleanup(lambda: Deferred.fromCoroutine(forwarder.stop()))
        listening = await forwarder.listen(Multiaddr.parse(SECURE_WEB_SOCKET), store)
        return by_name(f"{listening}/p2p/{node.peer_id}")

    async def our_host(self, security: str) -> Host:
        """One that trusts the forwarder's certificate, and knows its name."""
        root = trustRootFromCertificates([Certificate.loadPEM(self.files.root.read_bytes())])
        resolver = nameserver.resolver(int(self.nameserver.rpartition(":")[2]))
        return await self.start_host(security, listen=[], resolver=resolver, trust_root=root)

    async def check_our_dial(self, node: Peer, security: str) -> None:
        """Ping, and four megabytes each way on streams that either side opens."""
        host = await self.our_host(security)
        connection = await host.connect([Multiaddr.parse(await self.forward(node))])
        self.assertEqual(node.peer_id, str(connection.remote_peer))
        self.assertIn("/tls/ws", str(connection.remote_address))
        self.assertLess(await ping(connection, urandom(PING_BYTES), self.reactor), COMMAND_SECONDS)
        data = pattern(FOUR_MEGABYTES)
        self.assertTrue((await send_and_receive(connection, ECHO, data)).data == data, "other bytes came back")
        digest = await send_and_receive(connection, DIGEST, data)
        self.assertEqual(digest.data.decode(), hashlib.sha256(data).hexdigest())
        told = await node.event("connected", peer=str(host.peer_id))
        self.assertTrue(told["address"].startswith("/ip4/127.0.0.1/tcp/"), told)
        self.assertNotIn("/ws", told["address"])
        for command in ("echo", "digest"):
            self.assertTrue((await node.command(command, peer=str(host.peer_id), bytes=FOUR_MEGABYTES))["same"])
        await connection.close()
        await node.event("disconnected", peer=str(host.peer_id))

    async def check_dial(self, node: Peer, dialer: Peer) -> None:
        """The same between two real peers, of which neither knows that we are there."""
        told = await dialer.command("dial", addr=await self.forward(node))
        self.assertEqual(node.peer_id, told["peer"])
        await dialer.command("ping", peer=node.peer_id)
        await node.command("ping", peer=dialer.peer_id)
        for opener, other in ((dialer, node), (node, dialer)):
            for command in ("echo", "digest"):
                result = await opener.command(command, peer=other.peer_id, bytes=FOUR_MEGABYTES)
                self.assertTrue(result["same"], f"{command} opened by {opener.name}: {result}")
        await dialer.command("hangup", peer=node.peer_id)
        await node.event("disconnected", peer=dialer.peer_id)

    async def js_dialer(self) -> Peer:
        """A js-libp2p peer that trusts the forwarder's certificate, as it would a web server's."""
        return await self.start_js(extra_roots=self.files.root, nameServer=self.nameserver)

    async def go_dialer(self) -> Peer:
        """The same in Go."""
        return await self.start_go(roots=str(self.files.root), nameServer=self.nameserver)

    async def js_node(self, **options: Any) -> Peer:
        """A js-libp2p node with a plain TCP listener."""
        return await self.start_js(listen=[TCP], **options)

    async def go_node(self, **options: Any) -> Peer:
        """The same in Go."""
        return await self.start_go(listen=[TCP], **options)

    async def test_we_dial_js(self) -> None:
        """A js-libp2p node behind, and our host in front, with Noise."""
        await self.check_our_dial(await self.js_node(), "noise")

    async def test_we_dial_js_with_tls(self) -> None:
        """The same with libp2p's TLS, inside that of the WebSocket; it is the only one that the node has."""
        await self.check_our_dial(await self.js_node(security=["tls"]), "tls")

    async def test_we_dial_go(self) -> None:
        """A go-libp2p node behind, and our host in front, with Noise."""
        await self.check_our_dial(await self.go_node(), "noise")

    async def test_we_dial_go_with_tls(self) -> None:
        """The same with libp2p's TLS."""
        await self.check_our_dial(await self.go_node(security=["tls"]), "tls")

    async def test_js_dials_js(self) -> None:
        """js-libp2p on both sides, as with a browser before a js node."""
        await self.check_dial(await self.js_node(), await self.js_dialer())

    async def test_js_dials_go(self) -> None:
        """js-libp2p in front, as in a browser, and go-libp2p behind."""
        await self.check_dial(await self.go_node(), await self.js_dialer())

    async def test_go_dials_js(self) -> None:
        """go-libp2p's WebSocket in front, and js-libp2p behind."""
        await self.check_dial(await self.js_node(), await self.go_dialer())

    async def test_node_that_is_killed(self) -> None:
        """Who is connected loses the connection at once, and who comes then is sent away."""
        node = await self.go_node()
        address = await self.forward(node)
        dialer = await self.js_dialer()
        await dialer.command("dial", addr=address)
        node.kill()
        await dialer.event("disconnected", peer=node.peer_id)
        with self.assertRaises(ProgramError):
            await dialer.command("dial", addr=address)
