"""Two hosts over real loopback sockets."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.ping import ping

LOOPBACK = Multiaddr.parse("/ip4/127.0.0.1/tcp/0")


class HostCase(TestCase):
    timeout = 20

    def host(self, **options: Any) -> Host:
        host = Host(reactor, PrivateKey.generate(), **options)
        self.addCleanup(host.stop)
        return host


class TcpTests(HostCase):
    """TCP, Noise and yamux."""

    async def test_ping(self) -> None:
        """A peer that is dialed by its address is the one that was named, and answers a ping."""
        listener, dialer = self.host(), self.host()
        address = await listener.listen(LOOPBACK)
        connection = await dialer.connect([address], listener.peer_id)
        self.assertEqual(listener.peer_id, connection.remote_peer)
        self.assertGreater(await ping(connection, bytes(32), reactor), 0)
