"""Before the CA is asked, an issue server dials where WSS will be: who is not reached there costs the CA no order."""

from collections.abc import Sequence
from typing import Any

from twisted.logger import capturedLogs, formatEvent

import nodetrust.client.presence as presence_module
from nodetrust.client.client import Client
from nodetrust.client.outside import AskOutside, ask_outside
from nodetrust.command.deployment import full_addresses
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import CheckFault
from nodetrust.reachability.ask import Checked
from tests.autotls_servers import AutoTlsServers, AutoTlsTestCase


class GateTests(AutoTlsTestCase):
    """A client that has an issue server, too, which gives the certificate where AutoTLS does not."""

    def setUp(self) -> None:
        self.checked: list[Checked] = []
        self.patch(presence_module, "ask_outside", self.watched)

    def watched(self, *arguments: Any) -> AskOutside:
        """What servers say of the client's addresses, and what the client hears."""
        ask = ask_outside(*arguments)

        async def watch(addresses: Sequence[Multiaddr]) -> list[Checked]:
            found = await ask(addresses)
            self.checked += found
            return found

        return watch

    async def certified(
        self, servers: AutoTlsServers, issuers: Sequence[Multiaddr], **settings: Any
    ) -> tuple[Client, list[str]]:
        """A client with a certificate, and what was logged until then."""
        servers.changes["client"] = {"issuer": tuple(issuers), "prefer": "autotls", **settings}
        with capturedLogs() as events:
            client = await self.client(servers)
            await client.certificate()
        return client, list(filter(None, map(formatEvent, events)))

    async def test_a_port_that_is_closed(self) -> None:
        """The CA gets no order by AutoTLS, and the log says what to do."""
        servers = await self.start_all()
        port = self.unused_port()
        client, said = await self.certified(servers, full_addresses(servers.issue.host), wss_port=port)
        (refused,) = (line for line in said if "so that no CA is asked" in line)
        self.assertIn(f"127.0.0.1:{port} refuses connections", refused)
        self.assertEqual(self.checked[0].outcome.fault, CheckFault.CONNECTION_REFUSED)
        self.assertEqual(servers.orders_of(client.peer_id), [])
        self.assertEqual(await servers.texts(client.peer_id), ["not set yet"])

    async def test_a_port_that_is_open(self) -> None:
        """Nobody can speak TLS there yet, but it is reached: then there is an order, and the certificate is of it."""
        servers = await self.start_all()
        client, _ = await self.certified(servers, full_addresses(servers.issue.host))
        assert servers.issue.host is not None
        self.assertEqual(self.checked[0].outcome.fault, CheckFault.TLS_FAILED)
        self.assertEqual(self.checked[0].by, servers.issue.host.peer_id)
        (order,) = servers.orders_of(client.peer_id)
        assert client.current is not None
        self.assertEqual(client.current.chain.names, set(order.names))

    async def test_nobody_knows(self) -> None:
        """Without a server that dials it back, that is said, and the broker finds out."""
        servers = await self.start_all()
        nowhere = Multiaddr.parse(f"/ip4/127.0.0.1/tcp/{self.unused_port()}").with_peer_id(
            PrivateKey.generate().peer_id
        )
        client, said = await self.certified(servers, [nowhere])
        self.assertTrue(any("nobody here can tell whether others can connect" in line for line in said), said)
        self.assertEqual((self.checked, len(servers.orders_of(client.peer_id))), ([], 1))
