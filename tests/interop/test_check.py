"""The check from outside over the wire: a client with a certificate from Pebble asks the issue server."""

import socket
from typing import Any

from twisted.internet import reactor as default_reactor

from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import CheckFault
from nodetrust.reachability.advice import Unreachable, advise
from nodetrust.reachability.ask import ask_check
from tests.interop.roles import full_addresses
from tests.interop.test_end_to_end import CERTIFICATE_SECONDS, PebbleTestCase

reactor: Any = default_reactor


class CheckTests(PebbleTestCase):
    async def test_a_certified_client(self) -> None:
        """Its WSS address is reachable for each server; a port that is closed is refused, and the advice names it."""
        roles = await self.start_roles()
        client = await roles.start_client()
        await client.certificate().addTimeout(CERTIFICATE_SECONDS, reactor)
        assert client.host is not None
        [address] = await client.announced()
        bound = socket.socket()  # nobody listens there, and nobody else can
        self.addCleanup(bound.close)
        bound.bind(("127.0.0.1", 0))
        closed_port = bound.getsockname()[1]
        name = address.get("dns4")
        closed = Multiaddr.parse(f"/dns4/{name}/tcp/{closed_port}/tls/ws").with_peer_id(client.host.peer_id)
        for server in (roles.issue.host, *(proof.host for proof in roles.proofs)):
            met, refused = await ask_check(client.host, full_addresses(server), [address, closed], reactor)
            self.assertEqual((met.address, met.outcome.fault), (address, None), met.outcome.message)
            self.assertEqual(refused.outcome.fault, CheckFault.CONNECTION_REFUSED, refused.outcome.message)
        said = advise(Unreachable(closed, CheckFault.CONNECTION_REFUSED))
        self.assertIn(f"127.0.0.1:{closed_port} refuses connections", said)
