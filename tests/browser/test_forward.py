"""Nodes that know nothing of nodetrust, behind a client that forwards to them: the page dials them as any other."""

from msgspec.structs import replace

from nodetrust.client.client import Client
from nodetrust.client.forward import Target
from nodetrust.libp2p.multiaddr import Multiaddr
from tests.browser.test_page import CONNECTED, MESSAGES, PINGED, PageTestCase, reactor
from tests.interop.harness import InteropTestCase, Peer

PLAIN = ["/ip4/127.0.0.1/tcp/0"]


class ForwardTests(InteropTestCase, PageTestCase):
    """A js-libp2p and a go-libp2p node with plain TCP listeners."""

    timeout = 180

    async def forward(self, node: Peer, number: int) -> Client:
        """A client in front of the node, which it has been seen to reach from outside."""
        port = Multiaddr.parse(node.address()).get("tcp")
        settings = self.deployment.client_settings(number)
        client = Client(reactor, replace(settings, forward=Target.parse(f"tcp:127.0.0.1:{port}")))
        self.addCleanup(client.stop)
        await client.start()
        [address] = await client.announced()
        self.assertEqual(str(address.peer_id), node.peer_id)
        return client

    async def test_js_and_go(self) -> None:
        """Both are found and pinged under their own peer IDs; that they speak no message protocol is said."""
        await self.start(0)
        nodes = [await self.start_js(listen=PLAIN), await self.start_go(listen=PLAIN)]
        for number, node in enumerate(nodes, 1):
            await self.forward(node, number)
        await self.open_page()
        await self.browser.until(f"{CONNECTED} === 2 && {PINGED} === 2")
        for node in nodes:
            row = f"[...document.querySelectorAll('#peers > li')].find(row => row.innerHTML.includes('{node.peer_id}'))"
            note = await self.browser.until(f"{row}.querySelector('p.quiet')?.textContent")
            self.assertIn("Speaks no message protocol.", note)
            seen = await node.event("connected")
            self.assertTrue(seen["address"].startswith("/ip4/127.0.0.1/tcp/"), seen)
        self.assertEqual(await self.browser.evaluate(MESSAGES), [])
        self.assertEqual(self.console(), [])
        await self.look("forward")
        await nodes[1].stop()
        await self.browser.until(f"{CONNECTED} === 1")
