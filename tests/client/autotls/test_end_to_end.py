"""AutoTLS over loopback: our client, our broker, our DNS server, and the development CA."""

import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

import nodetrust.client.autotls.removal as removal_module
from nodetrust.client.client import Client
from nodetrust.client.errors import ObtainError
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.settings import HostPort
from nodetrust.testing.ca.va import ValidationAuthority
from tests.autotls_servers import AutoTlsServers, AutoTlsTestCase, reactor
from tests.stub_dns import StubDns

NOTHING = ["not set yet"]


class RemovalTests(AutoTlsTestCase):
    """What the broker answers for a peer, after an order; it would answer for ten minutes."""

    async def until(self, servers: AutoTlsServers, client: Client, *, is_set: bool) -> None:
        """Return when the DNS answers with a value of the client's, or with none."""
        while (await servers.texts(client.peer_id) != NOTHING) != is_set:
            await deferLater(reactor, 0.01)

    def look_elsewhere(self, servers: AutoTlsServers, place: HostPort) -> None:
        """The CA asks another DNS server from now on."""
        servers.ca._validation = ValidationAuthority(reactor, (place.host, place.port))

    async def test_after_a_certificate(self) -> None:
        """It is taken back."""
        servers = await self.start_all()
        client = await self.client(servers)
        await client.certificate()
        await self.until(servers, client, is_set=False)

    async def test_after_a_failure(self) -> None:
        """The CA has looked and has seen something else: the value is of no use any more."""
        servers = await self.start_all()
        stub = StubDns(reactor, {})
        self.look_elsewhere(servers, stub.start())
        self.addCleanup(lambda: Deferred.fromCoroutine(stub.stop()))
        client = await self.client(servers)
        error = await self.assertFailure(client.certificate(), ObtainError)
        self.assertIn("has not the expected value", str(error))
        self.assertEqual(len(servers.orders_of(client.peer_id)), 1)
        await self.until(servers, client, is_set=False)

    async def test_a_client_that_is_stopped(self) -> None:
        """In the middle of an order: when it has stopped, the value is gone."""
        servers = await self.start_all()
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        self.look_elsewhere(servers, HostPort(*silent.getsockname()))
        client = await self.client(servers)
        await self.until(servers, client, is_set=True)
        peer = client.peer_id
        await client.stop()
        self.assertEqual(await servers.texts(peer), NOTHING)

    async def test_a_broker_that_hangs(self) -> None:
        """No certificate waits for it, and no client that stops, for long."""
        self.patch(removal_module, "STOP_SECONDS", 0.1)
        servers = await self.start_all()
        asked: list[PeerId] = []
        broker: Any = servers.broker._broker

        def remove(peer: PeerId) -> Deferred[None]:
            asked.append(peer)
            return Deferred()

        broker.remove = remove
        client = await self.client(servers)
        await client.certificate()
        peer = client.peer_id
        await client.stop()
        self.assertEqual(asked, [peer])
        self.assertNotEqual(await servers.texts(peer), NOTHING)
