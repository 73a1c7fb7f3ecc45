"""Tests for nodetrust.libp2p.transports.tcp."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.limits import ConnectionBudget, Limits
from nodetrust.libp2p.transports.tcp import READ_BYTES, TcpChannel


class Socket(StringTransportWithDisconnection):
    bufferSize = 65536

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled


class TcpChannelTests(SynchronousTestCase):
    """What a channel does to its socket."""

    def setUp(self) -> None:
        self.budget = ConnectionBudget(Limits())
        self.channel = TcpChannel(self.budget.admit(ip_address("192.0.2.1")))
        self.socket = Socket()
        self.socket.protocol = self.channel
        self.channel.makeConnection(self.socket)

    def test_reads(self) -> None:
        """A stranger gets no larger reads than any socket; somebody we know gets them."""
        self.assertEqual(65536, self.socket.bufferSize)
        self.channel.peer_known()
        self.assertEqual(READ_BYTES, self.socket.bufferSize)

    def test_life(self) -> None:
        """Small writes are not held back, and the place in the budget ends with the socket."""
        self.assertTrue(self.socket.no_delay)
        self.assertEqual(1, self.budget.open)
        self.channel.attach(Protocol())
        self.socket.loseConnection()
        self.assertEqual(0, self.budget.open)
