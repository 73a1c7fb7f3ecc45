"""Today's AutoTLS clients, as they come, get their certificates through our broker and our DNS server, from Pebble."""

import json
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred

from nodetrust.keyfile import load
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.service import KEY_FILE
from tests.interop import postgresql
from tests.interop.forge import HTTP_PORT, NAME, NAME_SERVER, NODE, PRIVATE_NETWORK, PRIVATE_NODE, ZONE, Forge
from tests.interop.harness import InteropTestCase, Peer
from tests.interop.test_postgresql import require as require_postgresql
from tests.interop.toolchain import require_router

reactor: Any = default_reactor
PORT = 4443
REGISTRATIONS, GO_AT_ONCE = 100, 8

RENEWED_LIFE_SECONDS = 45
"""Of a certificate that a test sees renewed: go's client looks when fifteen are left, and the harness waits for 90."""


class AutoTlsTests(InteropTestCase):
    timeout = 240

    def setUp(self) -> None:
        super().setUp()
        require_router()
        self.forge = Forge(Path(self.mktemp()))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.forge.stop()))

    async def start_js_node(self, **options: Any) -> Peer:
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

    async def start_go_node(self, **options: Any) -> Peer:
        """A go-libp2p node with p2p-forge's client, at the node's host; what it gets is kept for its next life."""
        peer = Peer("go_autotls")
        self.forge.run(peer, "node", [self.tools.go_autotls], {})
        await peer.start(
            listen=[f"/ip4/{NODE}/tcp/4001"],
            port=PORT,
            nameServer=NAME_SERVER,
            domain=ZONE,
            directory=self.forge.pebble.directory,
            roots=str(self.forge.roots),
            storage=str(self.forge.folder / "p2p-forge-certs"),
            **options,
        )
        return peer

    async def start_replicas(self) -> None:
        """Two brokers that have nothing but a database in common, behind a proxy that takes turns."""
        require_postgresql()
        await self.forge.start(self.tools.pebble)
        await self.forge.start_replicas(postgresql.shared().new_database())

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
        node = await self.start_js_node(endpoint=f"https://{NAME}/")
        told = await node.event("certificate:provision")
        certificate = x509.load_pem_x509_certificates(told["certificate"].encode())[0]
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertEqual(names.get_values_for_type(x509.DNSName), [f"*.{_label(node)}.{ZONE}"])
        await self.assert_dialled(node)

    async def test_issue_server(self) -> None:
        """One issue server, two ways: js-libp2p by AutoTLS, and ours by proofs, each dialled over WSS."""
        issuer = await self.forge.start_issue_server(self.tools.pebble)
        node = await self.start_js_node(endpoint=f"https://{NAME}/")
        await node.event("certificate:provision")
        await self.assert_dialled(node)
        out = self.forge.folder / "out"
        options = ["--issuer", issuer, "--nameserver", NAME_SERVER, "--trust-file", str(self.forge.roots), "--json"]
        status, printed, err = await self.forge.nodetrust("node", "obtain", *options, "--out", out)
        self.assertEqual(status, 0, err)
        self.assertIn(f"ip4{NODE.replace('.', '-')}.{ZONE}", json.loads(printed)["names"])

    async def test_js_behind_a_proxy(self) -> None:
        """The same over plain HTTP with a port in the URL, which js-libp2p signs as part of the name."""
        await self.forge.start(self.tools.pebble)
        node = await self.start_js_node(endpoint=f"http://{NAME}:{HTTP_PORT}/")
        await node.event("certificate:provision")

    async def test_two_replicas(self) -> None:
        """Two brokers on one PostgreSQL, requests in turns to each: a hundred of a hundred by js-libp2p succeed."""
        await self.start_replicas()
        node = await self.start_js_node(endpoint=f"http://{NAME}:{HTTP_PORT}/")
        await node.event("certificate:provision")
        told = await node.command("register", count=REGISTRATIONS, address=f"/ip4/{NODE}/tcp/4001")
        self.assertEqual(told, {"registered": REGISTRATIONS, "errors": []})

    async def test_two_replicas_for_go(self) -> None:
        """The same by a hundred new nodes with p2p-forge's client, and the DNS server answers for each of them."""
        await self.start_replicas()
        endpoint = f"http://{NAME}:{HTTP_PORT}"
        node = await self.start_go_node(endpoint=endpoint, checkSeconds=600)
        await node.event("loaded")
        told = await node.command(
            "register",
            endpoint=endpoint,
            nameServer=NAME_SERVER,
            domain=ZONE,
            listen=[f"/ip4/{NODE}/tcp/0"] * REGISTRATIONS,
            atOnce=GO_AT_ONCE,
        )
        self.assertEqual((told["registered"], told["errors"]), (REGISTRATIONS, []))
        told = await node.command("lookUp", nameServer=NAME_SERVER)
        self.assertEqual(told, {"found": REGISTRATIONS})

    async def test_go(self) -> None:
        """go-libp2p with p2p-forge's client, which asks for the broker's health and looks for its value in the DNS."""
        await self.forge.start(self.tools.pebble)
        node = await self.start_go_node(endpoint=f"https://{NAME}", checkSeconds=600)
        await node.event("loaded")
        await self.assert_dialled(node)

    async def test_go_renews(self) -> None:
        """p2p-forge's client renews when a third of the life is left, and the broker sets its values again."""
        await self.forge.start(self.tools.pebble, life_seconds=RENEWED_LIFE_SECONDS)
        node = await self.start_go_node(endpoint=f"http://{NAME}:{HTTP_PORT}", checkSeconds=2)
        await node.event("loaded")
        await node.event("renewed")
        await self.assert_dialled(node)

    async def test_ours(self) -> None:
        """Our own client gets its certificate through our own broker, as through p2p-forge."""
        await self.forge.start(self.tools.pebble)
        out = self.forge.folder / "out"
        status, printed, err = await self.forge.obtain(out, "--listen", f"/ip4/{NODE}/tcp/4001")
        self.assertEqual(status, 0, err)
        label = load(out / KEY_FILE).peer_id.to_cid_base36()
        self.assertEqual(json.loads(printed)["names"], [f"*.{label}.{ZONE}"])

    async def test_private_network(self) -> None:
        """A node with a private address gets a certificate where the operator has opened its network, else not."""
        await self.forge.start(self.tools.pebble, allow_networks=[PRIVATE_NETWORK])
        options = ["--listen", f"/ip4/{PRIVATE_NODE}/tcp/4001", "--allow-private"]
        status, printed, err = await self.forge.obtain(self.forge.folder / "out", *options)
        self.assertEqual(status, 0, err)
        self.assertEqual(len(json.loads(printed)["names"]), 1)

    async def test_private_network_is_closed(self) -> None:
        """The broker says what is wrong with the address, and our client tells it."""
        await self.forge.start(self.tools.pebble)
        options = ["--listen", f"/ip4/{PRIVATE_NODE}/tcp/4001", "--allow-private"]
        status, _, err = await self.forge.obtain(self.forge.folder / "out", *options)
        self.assertEqual(status, 5, err)
        self.assertIn(f"{PRIVATE_NODE} is not public: private use (RFC 1918)", " ".join(err.split()))

    async def assert_dialled(self, node: Peer) -> None:
        """js-libp2p and ours, at another host, dial the node over WSS, by the name that our DNS server answers."""
        address = f"/dns4/{NODE.replace('.', '-')}.{_label(node)}.{ZONE}/tcp/{PORT}/tls/ws/p2p/{node.peer_id}"
        visitor = await self.visitor()
        dialled = await visitor.command("dial", addr=address)
        self.assertEqual((dialled["peer"], dialled["address"]), (node.peer_id, address))
        self.assertEqual(await self.forge.dial(address), node.peer_id)


def _label(node: Peer) -> str:
    return PeerId.parse(node.peer_id).to_cid_base36()
