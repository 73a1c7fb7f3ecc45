"""Today's AutoTLS clients, as they come, get their certificates through our broker and our DNS server, from Pebble."""

from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred

from nodetrust.libp2p.peer_id import PeerId
from tests.interop.forge import HTTP_PORT, NAME, NAME_SERVER, NODE, ZONE, Forge
from tests.interop.harness import InteropTestCase, Peer
from tests.interop.toolchain import require_router

reactor: Any = default_reactor
PORT = 4443


class AutoTlsTests(InteropTestCase):
    timeout = 120

    def setUp(self) -> None:
        super().setUp()
        require_router()
        self.forge = Forge(Path(self.mktemp()))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.forge.stop()))

    async def start_js(self, **options: Any) -> Peer:  # type: ignore[override]
        """A js-libp2p node with its AutoTLS client, at the node's host."""
        peer = Peer("js_autotls")
        environment = {"NODE_EXTRA_CA_CERTS": str(self.forge.roots), "DEBUG": "libp2p:auto-tls*"}
        self.forge.run(peer, "node", [self.tools.node, self.tools.js_autotls / "peer.mjs"], environment)
        await peer.start(
            listen=[f"/ip4/{NODE}/tcp/4001", f"/ip4/{NODE}/tcp/{PORT}/ws"],
            announce=[f"/ip4/{NODE}/tcp/4001", f"/ip4/{NODE}/tcp/{PORT}/ws"],
            nameServer=NAME_SERVER,
            domain=ZONE,
            directory=self.forge.pebble.directory,
            **options,
        )
        return peer

    async def visitor(self) -> Peer:
        """Another js-libp2p node, elsewhere."""
        peer = Peer("js")
        environment = {"NODE_EXTRA_CA_CERTS": str(self.forge.roots)}
        self.forge.run(peer, "visitor", [self.tools.node, self.tools.js / "peer.mjs"], environment)
        await peer.start(nameServer=NAME_SERVER)
        return peer

    async def test_js(self) -> None:
        """js-libp2p with @ipshipyard/libp2p-auto-tls: a certificate, and then it is dialled over WSS."""
        await self.forge.start(self.tools.pebble)
        node = await self.start_js(endpoint=f"http://{NAME}:{HTTP_PORT}/")
        told = await node.event("certificate:provision")
        certificate = x509.load_pem_x509_certificates(told["certificate"].encode())[0]
        label = PeerId.parse(node.peer_id).to_cid_base36()
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), [f"*.{label}.{ZONE}"])
        address = f"/dns4/{NODE.replace('.', '-')}.{label}.{ZONE}/tcp/{PORT}/tls/ws/p2p/{node.peer_id}"
        visitor = await self.visitor()
        dialled = await visitor.command("dial", addr=address)
        self.assertEqual(dialled["peer"], node.peer_id)
