"""DNS over UDP (RFC 1035 §4.2.1): a port that answers each datagram at once, or not at all.

Twisted's own port hands over one datagram at a time; this one reads and answers a batch a turn of the reactor.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IListeningPort, IReadDescriptor
from twisted.internet.main import CONNECTION_LOST
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.dns.respond import Responder
from nodetrust.dns.transport import mmsg
from nodetrust.dns.transport.exchange import Exchange, OneByOne

LINGER_SECONDS = 0.1
"""How long a port that was told to stop reads on: what was on its way when it stepped aside arrives meanwhile."""


def exchange_for(udp: socket.socket, responder: Responder) -> Exchange:
    """The quickest way of answering that this system has."""
    return mmsg.ManyAtOnce(udp, responder) if mmsg.is_available() else OneByOne(udp, responder)


@implementer(IReadDescriptor, IListeningPort)
class UdpPort:
    """A bound, non-blocking UDP socket, which is the port's from now on, in a reactor."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        udp: socket.socket,
        responder: Responder,
        make_exchange: Callable[[socket.socket, Responder], Exchange] = exchange_for,
    ) -> None:
        self._reactor = reactor
        self._socket = udp
        self._exchange = make_exchange(udp, responder)
        self._stopped: Deferred[None] | None = None

    def startListening(self) -> None:
        """Answer from now on."""
        self._reactor.addReader(self)

    def stopListening(self) -> Deferred[None]:
        """Step aside for whoever shares the address, answer what has arrived, and close; fires when it is closed."""
        if self._stopped is None:
            self._stopped = Deferred()
            self._step_aside()
            self._reactor.callLater(LINGER_SECONDS, self._close)
        return self._stopped

    def release(self) -> None:
        """Leave what arrives to another process that has this socket too."""
        if self._stopped is None:
            self._stopped = Deferred()
            self._close()

    def _step_aside(self) -> None:
        """Let Linux choose another socket of the group (SO_REUSEPORT) for new datagrams: it passes over connected ones.

        Those that wait here are still read; closing would throw them away.
        """
        try:
            self._socket.connect(self._socket.getsockname())
        except OSError:
            self.log.debug("this system cannot hand a UDP port over without a loss")

    def _close(self) -> None:
        self._reactor.removeReader(self)
        self._socket.close()
        if self._stopped is not None:
            self._stopped.callback(None)

    def getHost(self) -> IAddress:
        """The bound address."""
        host, port = self._socket.getsockname()[:2]
        kind = IPv6Address if self._socket.family == socket.AF_INET6 else IPv4Address
        return kind("UDP", host, port)

    def fileno(self) -> int:
        """For the reactor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """For the reactor."""
        return "dns"

    def doRead(self) -> Any:
        """One batch; the reactor calls again while there is more. A socket that is broken is let go."""
        try:
            self._exchange.exchange()
        except OSError as error:
            self.log.error("the UDP port {port} is broken: {error}", port=self.getHost(), error=error)
            return CONNECTION_LOST
        return None

    def connectionLost(self, reason: Failure) -> None:
        """Called by the reactor for a socket that is broken, and when it ends."""
        if self._stopped is None:
            self._stopped = Deferred()
        if not self._stopped.called:
            self._close()
