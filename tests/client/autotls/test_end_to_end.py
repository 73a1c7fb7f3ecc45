"""AutoTLS over loopback: our client, our broker, our DNS server, and the development CA."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

import nodetrust.client.autotls.removal as removal_module
from nodetrust.client.errors import ObtainError
from nodetrust.libp2p.peer_id import PeerId
from tests.autotls_servers import NOTHING, AutoTlsTestCase, reactor
from tests.stub_dns import StubDns


class RemovalTests(AutoTlsTestCase):
    """What the broker answers for a peer, after an order; it would answer for ten minutes."""

    async def test_after_a_certificate(self) -> None:
        """It is taken back."""
        servers = await self.start_all()
        client = await self.client(servers)
        await client.certificate()
        await self.until_set(servers, client.peer_id, is_set=False)

    async def test_after_a_failure(self) -> None:
        """The CA has looked and has seen something else: the value is of no use any more."""
        servers = await self.start_all()
        stub = StubDns(reactor, {})
        servers.look_elsewhere(stub.start())
        self.addCleanup(lambda: Deferred.fromCoroutine(stub.stop()))
        client = await self.client(servers)
        error = await self.assertFailure(client.certificate(), ObtainError)
        self.assertIn("has not the expected value", str(error))
        self.assertEqual(len(servers.orders_of(client.peer_id)), 1)
        await self.until_set(servers, client.peer_id, is_set=False)

    async def test_a_client_that_is_stopped(self) -> None:
        """In the middle of an order: when it has stopped, the value is gone."""
        servers = await self.start_all()
        servers.look_for_ever()
        client = await self.client(servers)
        await self.until_set(servers, client.peer_id, is_set=True)
        peer = client.peer_id
        await client.stop()
        self.assertEqual(await servers.texts(peer), NOTHING)

    async def test_a_broker_that_hangs(self) -> None:
        """No certificate waits for it, and no client that stops, for long."""
        self.patch(removal_module, "STOP_SECONDS", 0.1)
        servers = await self.start_all()
        asked: list[PeerId] = []
        broker: Any = servers.broker.broker.broker

        def remove(peer: PeerId) -> Deferred[None]:
            asked.append(peer)
            return Deferred()

        broker.remove = remove
        client = await self.client(servers)
        await client.certificate()
        peer = client.peer_id
        while not asked:
            await deferLater(reactor, 0.01)
        await client.stop()
        self.assertEqual(asked, [peer])
        self.assertNotEqual(await servers.texts(peer), NOTHING)
