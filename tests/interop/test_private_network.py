"""A private network of two LANs with its own CA, DNS and resolver: who gets certificates, and who reaches whom."""

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from typing import Any

from twisted.internet.defer import Deferred

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import IPAddress, autotls_label_for_address, name_for_address
from tests.interop.campus import FIREWALL, GLOBAL, NAT, NODES, ROUTERS
from tests.interop.harness import Daemon, InteropTestCase, Peer
from tests.interop.private import BROKER, ZONE, PrivateNetwork
from tests.interop.test_twistd import ADDRESS
from tests.interop.toolchain import require_router, require_step_ca, require_unbound

PORT = 4443
NEW_ORDER, CHALLENGE = "new-order", "challenge/"
MOVED = "10.2.0.77"
"""Where the node in LAN 2 can move to."""

MOVE_SECONDS = 60.0
"""At most from a move to the announcement of the new address."""

NO_CERTIFICATE = 5
"""The status of `nodetrust obtain` where it was refused."""


class PrivateNetworkTests(InteropTestCase):
    timeout = 240

    def setUp(self) -> None:
        super().setUp()
        require_router()
        require_unbound()
        self.step_ca = require_step_ca()

    async def start(self, rules: str = "") -> PrivateNetwork:
        """The servers, and two routers, the second with `rules`."""
        self.network = PrivateNetwork(Path(self.mktemp()), rules)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.network.stop()))
        await self.network.start(self.step_ca)
        return self.network

    async def start_js_autotls(self, *announce: str) -> Peer:
        """js-libp2p with its AutoTLS client in LAN 1."""
        peer = Peer("js_autotls")
        environment = {"NODE_EXTRA_CA_CERTS": str(self.network.ca.root), "DEBUG": "libp2p:auto-tls*"}
        self.network.run(peer, "node1", [self.tools.node, self.tools.js_autotls / "peer.mjs"], environment)
        await peer.start(
            listen=[f"{host}/tcp/{port}" for host in ("/ip4/0.0.0.0", "/ip6/::") for port in (4001, f"{PORT}/ws")],
            announce=announce,
            domain=ZONE,
            endpoint=f"https://{BROKER}/",
            directory=self.network.ca.directory,
        )
        return peer

    async def start_go_autotls(self, *listen: str) -> Peer:
        """go-libp2p with p2p-forge's client in LAN 1."""
        peer = Peer("go_autotls")
        self.network.run(peer, "node1", [self.tools.go_autotls], {})
        await peer.start(
            listen=listen,
            port=PORT,
            domain=ZONE,
            endpoint=f"https://{BROKER}",
            directory=self.network.ca.directory,
            roots=str(self.network.ca.root),
            storage=str(self.network.folder / "p2p-forge-certs"),
            allowPrivate=True,
            checkSeconds=600,
        )
        return peer

    async def start_js_at(self, which: str, **options: Any) -> Peer:
        """js-libp2p without AutoTLS."""
        peer = Peer("js")
        environment = {"NODE_EXTRA_CA_CERTS": str(self.network.ca.root)}
        self.network.run(peer, which, [self.tools.node, self.tools.js / "peer.mjs"], environment)
        await peer.start(**options)
        return peer

    def start_client(self, which: str, **settings: Any) -> Daemon:
        """`twistd nodetrust-client` in a LAN, over IPv4 and IPv6."""
        listening = {"listen": ["/ip6/::/tcp/4001"], "wss_listen": [f"/ip6/::/tcp/{PORT}/tls/ws"]}
        return self.network.twistd("client", which, **{"map_ports": False, **listening, **settings})

    async def assert_dialled(self, which: str, peer: str, *addresses: str) -> None:
        """js-libp2p and ours, in the LAN, dial the peer at each of these, by names that the resolver knows."""
        visitor = await self.start_js_at(which)
        for address in addresses:
            full = f"{address}/p2p/{peer}"
            self.assertEqual((await visitor.command("dial", addr=full))["peer"], peer, full)
            await visitor.command("hangup", peer=peer)
            self.assertEqual(await self.network.dial_from(which, full, self.network.ca.root), peer, full)
        await visitor.stop()

    async def test_js(self) -> None:
        """js-libp2p, for which private addresses are none, has a global one besides; its certificate is for both."""
        await self.start()
        node = await self.start_js_autotls(f"/ip6/{GLOBAL}/tcp/4001")
        await node.event("certificate:provision")
        await self.assert_dialled("node2", node.peer_id, *_autotls_addresses(node.peer_id, NODES[1]))

    async def test_go(self) -> None:
        """go-libp2p with p2p-forge's client, told to allow private addresses: it has no other ones."""
        await self.start()
        node = await self.start_go_autotls(*(f"/ip{6 if ':' in ip else 4}/{ip}/tcp/4001" for ip in NODES[1]))
        await node.event("loaded")
        await self.assert_dialled("node2", node.peer_id, *_autotls_addresses(node.peer_id, NODES[1]))

    async def test_ours_by_the_broker(self) -> None:
        """Our client in LAN 2 is dialled from LAN 1 at all that it announces."""
        network = await self.start()
        client = self.start_client("node2", **network.client_settings)
        peer = str(PeerId.parse((await client.logged(ADDRESS)).rpartition("/")[2]))
        ipv4, ipv6 = _autotls_addresses(peer, NODES[2])
        for address in (ipv4, ipv6):
            await client.logged(f"(WSS at {address}/p2p/{peer})")
        await self.assert_dialled("node1", peer, ipv4, ipv6)

    async def test_ours_by_the_issue_server(self) -> None:
        """The same with an issue server, which has dialled the addresses before they are announced."""
        network = await self.start()
        client = self.start_client(
            "node2", issuer=[network.issuer], trust_file=str(network.ca.root), allow_private=True
        )
        peer = str(PeerId.parse((await client.logged(ADDRESS)).rpartition("/")[2]))
        addresses = [_wss(ip, name_for_address(ip, ZONE)) for ip in map(ip_address, NODES[2])]
        for address in addresses:
            await client.logged(f"(WSS at {address}/p2p/{peer})")
        await self.assert_dialled("node1", peer, *addresses)

    async def test_ours_moves(self) -> None:
        """The machine gets another IPv4 address: that is dialled within a minute, and IPv6 connections stay open."""
        network = await self.start()
        client = self.start_client(
            "node2", issuer=[network.issuer], trust_file=str(network.ca.root), allow_private=True
        )
        peer = str(PeerId.parse((await client.logged(ADDRESS)).rpartition("/")[2]))
        ipv4, ipv6 = (_wss(ip, name_for_address(ip, ZONE)) for ip in map(ip_address, NODES[2]))
        for address in (ipv4, ipv6):
            await client.logged(f"(WSS at {address}/p2p/{peer})")
        visitor = await self.start_js_at("node1")
        await visitor.command("dial", addr=f"{ipv6}/p2p/{peer}")
        network.hosts.must("node2", "ip", "address", "delete", f"{NODES[2][0]}/24", "dev", "eth0")
        network.hosts.give("node2", "eth0", f"{MOVED}/24")
        network.hosts.route("node2", "default", "10.2.0.1")
        began = monotonic()
        moved = _wss(ip_address(MOVED), name_for_address(ip_address(MOVED), ZONE))
        await client.logged(f"(WSS at {moved}/p2p/{peer})")
        self.assertLess(monotonic() - began, MOVE_SECONDS)
        await visitor.command("ping", peer=peer)  # over the connection that there is, or not at all
        await self.assert_dialled("node1", peer, moved, ipv6)

    async def test_js_behind_ours(self) -> None:
        """A js-libp2p node that has private addresses alone, and knows nothing of certificates, with ours in front."""
        network = await self.start()
        node = await self.start_js_at("node2", listen=["/ip4/127.0.0.1/tcp/4005"])
        client = self.start_client("node2", forward="tcp:127.0.0.1:4005", **network.client_settings)
        ours = (await client.logged(ADDRESS)).rpartition("/")[2]
        addresses = _autotls_addresses(ours, NODES[2])
        for address in addresses:
            await client.logged(f"(WSS at {address}/p2p/{node.peer_id})")
        await self.assert_dialled("node1", node.peer_id, *addresses)

    async def test_router_that_lets_nothing_in(self) -> None:
        """The broker says of each address what happened there, nobody has the CA look, and there is no certificate."""
        network = await self.start(FIREWALL)
        await self.assert_refused()
        self.assertEqual(network.ca.requests(CHALLENGE, *NODES[2]), [])

    async def test_router_that_lets_nothing_in_is_found_out(self) -> None:
        """By an issue server, where the client has one: then the CA does not even hear of an order."""
        network = await self.start(FIREWALL)
        settings = {**network.client_settings, "issuer": [network.issuer], "prefer": "autotls"}
        client = self.start_client("node2", **settings)
        told = await client.logged("(nobody can connect to this peer, so that no CA is asked: .*)")
        for ip in NODES[2]:
            self.assertIn(f"{ip}", told)
        self.assertEqual(network.ca.requests(NEW_ORDER, *NODES[2]), [])

    async def test_router_that_translates(self) -> None:
        """As behind a firewall; the broker sees the router's address, of which the node knows nothing."""
        network = await self.start(NAT + FIREWALL)
        await self.assert_refused()
        self.assertEqual(network.ca.requests(CHALLENGE, ROUTERS[2][0], NODES[2][1]), [])
        self.assertEqual(
            len(network.ca.requests(NEW_ORDER, ROUTERS[2][0], NODES[2][1])), 1, "else the above says nothing"
        )

    async def assert_refused(self) -> None:
        """`nodetrust obtain --autotls` in LAN 2 has no certificate, and says why for both addresses."""
        network = self.network
        given = network.client_settings
        where = ["--broker", *given["broker"], "--domain", ZONE, "--acme-directory", given["acme_directory"]]
        how = ["--trust-file", given["trust_file"], "--allow-private", "--listen", "/ip6/::/tcp/4001"]
        out = network.folder / "out"
        status, _, err = await network.nodetrust("node2", "obtain", "--autotls", *where, *how, "--out", out)
        ipv4, ipv6 = NODES[2]
        said = " ".join(err.split())
        self.assertEqual(status, NO_CERTIFICATE, said)
        self.assertIn(
            f"/ip4/{ipv4}/tcp/4001: no answer in time: nobody is there, or a firewall drops what is sent", said
        )
        self.assertIn(f"/ip6/{ipv6}/tcp/4001: a firewall forbids it", said)
        self.assertFalse((out / "cert.pem").exists())


def _autotls_addresses(peer: str, ips: Iterable[str]) -> list[str]:
    label = PeerId.parse(peer).to_cid_base36()
    return [_wss(ip, f"{autotls_label_for_address(ip)}.{label}.{ZONE}") for ip in map(ip_address, ips)]


def _wss(ip: IPAddress, name: str) -> str:
    return f"/dns{ip.version}/{name}/tcp/{PORT}/tls/ws"
