"""A client in front of a node that knows nothing of it, with all servers on loopback."""

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from nodetrust.client.client import Client
from nodetrust.client.forward import Target
from nodetrust.command.deployment import LOOPBACK, full_addresses
from nodetrust.discovery import Announced
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.ping import PING_BYTES, ping
from nodetrust.service import dial_options
from tests.servers import LOOPBACK_NAME, Servers, ServersTestCase, reactor


class ForwardingTests(ServersTestCase):
    """The node is a host of ours; the interop tests have js-libp2p's and go-libp2p's."""

    async def node(self, key: PrivateKey | None = None) -> Host:
        node = Host(reactor, key or PrivateKey.generate())
        self.addCleanup(node.stop)
        await node.listen(LOOPBACK[0])
        return node

    async def forwarding(self, servers: Servers, node: Host) -> Client:
        port = node.addresses()[0].get("tcp")
        servers.changes["client"]["forward"] = Target.parse(f"tcp:127.0.0.1:{port}")
        return await self.client(servers)

    async def test_the_node_is_announced_and_met(self) -> None:
        """Under the client's certificate, with the node's own peer ID; who hears of it learns who speaks for it."""
        servers, node = await self.start(), await self.node()
        client = await self.forwarding(servers, node)
        [address] = await client.announced()
        self.assertEqual((address.peer_id, address.get("dns4")), (node.peer_id, LOOPBACK_NAME))
        servers.changes["client"] = {"state": servers.folder / "listener"}
        other = await self.client(servers)
        heard: Deferred[Announced] = Deferred()
        no_more = other.on_peer(heard.callback)
        announcement = (await heard).announcement
        no_more()
        no_more()  # which is no fault
        self.assertEqual((announcement.peer, announcement.author), (node.peer_id, client.peer_id))
        visitor = Host(
            reactor, PrivateKey.generate(), **dial_options(reactor, servers.dns_place, servers.ca.root_pem_path)
        )
        self.addCleanup(visitor.stop)
        connection = await visitor.connect(announcement.addresses)
        self.assertEqual(connection.remote_peer, node.peer_id)
        self.assertGreater(await ping(connection, bytes(PING_BYTES), reactor), 0)

    async def test_no_node_no_announcement(self) -> None:
        """While it is away nothing is announced; when it is back, in another life, everything is as before."""
        servers = await self.start()
        key = PrivateKey.generate()
        node = await self.node(key)
        client = await self.forwarding(servers, node)
        await client.announced()
        [place] = node.addresses()
        await node.stop()
        assert client._presence is not None and client._presence.edge._behind is not None
        client._presence.edge._behind.doubt()
        while client.addresses:
            await deferLater(reactor, 0.05)
        again = Host(reactor, key)
        self.addCleanup(again.stop)
        await again.listen(place)
        [address] = await client.announced()
        self.assertEqual(address.peer_id, again.peer_id)

    async def test_the_client_itself_is_no_less_a_peer(self) -> None:
        """Others still meet it at its plain address, where its announcements come from."""
        servers, node = await self.start(), await self.node()
        client = await self.forwarding(servers, node)
        await client.announced()
        visitor = Host(reactor, PrivateKey.generate())
        self.addCleanup(visitor.stop)
        plain = [one for one in full_addresses(client.host) if not one.has("tls")]
        self.assertEqual((await visitor.connect(plain)).remote_peer, client.peer_id)
        assert client.host is not None
        self.assertFalse(any(one.has("tls") for one in client.host.addresses()))
