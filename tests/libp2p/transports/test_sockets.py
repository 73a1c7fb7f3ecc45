"""Tests for nodetrust.libp2p.transports.sockets: why there is no connection."""

from __future__ import annotations

import errno

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectionRefusedError,
    TCPTimedOutError,
    TimeoutError,
    getConnectError,
)
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.errors import DialError, NoAnswer, PortClosed
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports import TransportAddress
from nodetrust.libp2p.transports.sockets import CONNECT_SECONDS, connect_socket

TARGET = TransportAddress.from_multiaddr(Multiaddr.parse("/ip4/192.0.2.1/tcp/1"))


class Reactor(MemoryReactorClock):
    """With the one thing that the fake lacks, and an IP address does not need."""

    nameResolver = None


class ConnectSocketTests(SynchronousTestCase):
    """What a dial of one IP address fails with."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.dial = Deferred.fromCoroutine(connect_socket(self.reactor, None, TARGET, Protocol))

    def reason(self) -> Exception:
        return self.failureResultOf(self.dial, DialError).value.cause

    def cause(self) -> type[Exception]:
        return type(self.reason())

    def refuse(self, error: Exception) -> None:
        factory = self.reactor.tcpClients[0][2]
        factory.clientConnectionFailed(None, Failure(error))

    def test_port_closed(self) -> None:
        """A refusal says that nobody listens there."""
        self.refuse(ConnectionRefusedError())
        self.assertIs(self.cause(), PortClosed)

    def test_no_answer(self) -> None:
        """Silence until the system gives up is told from a refusal."""
        self.refuse(TCPTimedOutError())
        self.assertIs(self.cause(), NoAnswer)

    def test_no_answer_to_us(self) -> None:
        """So is silence until our own deadline."""
        self.assertEqual(CONNECT_SECONDS, self.reactor.tcpClients[0][3])
        self.refuse(TimeoutError())
        self.assertIs(self.cause(), NoAnswer)

    def test_cancelled(self) -> None:
        """Who gives up a dial hears of no failure, but that it was given up."""
        self.dial.cancel()
        self.failureResultOf(self.dial, CancelledError)
        self.assertTrue(self.reactor.connectors[0].stoppedConnecting)

    def test_otherwise(self) -> None:
        """Anything else is a DialError of no kind, in the system's words."""
        self.refuse(getConnectError(OSError(errno.EHOSTUNREACH, "")))
        reason = self.reason()
        self.assertEqual((type(reason), str(reason)), (DialError, "No route to host"))

    def test_without_a_number(self) -> None:
        """Twisted's own words, where the system has said nothing."""
        self.refuse(ConnectError(string="nonsense"))
        self.assertIn("nonsense", str(self.reason()))

    def test_forbidden(self) -> None:
        """A firewall that says so, as an IPv6 one can, is called by its name: the port is as closed as by a refusal."""
        self.refuse(getConnectError(OSError(errno.EACCES, "")))
        reason = self.reason()
        self.assertEqual((type(reason), str(reason)), (PortClosed, "a firewall forbids it"))
