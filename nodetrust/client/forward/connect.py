"""A connection to the node behind us."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory

from nodetrust.client.forward.errors import NoNode
from nodetrust.client.forward.target import Target
from nodetrust.libp2p.channel import TransportChannel

CONNECT_SECONDS = 5
"""For the node to accept; it is on this machine, or near. A browser's libp2p gives up after ten. Ours."""

KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Two minutes until a silent socket whose other end has vanished is closed; the system's own default is two hours."""


class NodeChannel(TransportChannel):
    """The socket to the node as a channel."""

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        keep_alive(self.transport.getHandle())


async def connect(reactor: Any, target: Target) -> NodeChannel:
    """Raises `NoNode` if it is not reached within CONNECT_SECONDS. Cancelling leaves nothing open."""
    connecting: Deferred[Any] = _endpoint(reactor, target).connect(_Connecting())
    connecting.addTimeout(CONNECT_SECONDS, reactor, _timed_out)
    try:
        channel: NodeChannel = await connecting
    except (ConnectError, OSError) as reason:
        raise NoNode(f"nobody is at {target}: {reason}") from reason
    except ConnectingCancelledError:
        raise CancelledError from None
    return channel


def keep_alive(handle: socket.socket) -> None:
    """Have the system notice when the other end is gone; what a listening socket has, those accepted there get, too."""
    if handle.family not in {socket.AF_INET, socket.AF_INET6}:
        return  # the system always knows where the other end of its own is
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):  # not every system has all three
            handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class _Connecting(Factory):
    noisy = False
    protocol = NodeChannel


def _endpoint(reactor: IReactorTime, target: Target) -> IStreamClientEndpoint:
    # The endpoints' own time limits are those of connecting alone, without the look-up of a name.
    kinds: dict[str, Any] = {"tcp": TCP4ClientEndpoint, "tcp6": TCP6ClientEndpoint}
    if target.kind == "unix":
        return UNIXClientEndpoint(reactor, target.place)
    endpoint: IStreamClientEndpoint = kinds[target.kind](reactor, target.place, target.port)
    return endpoint


def _timed_out(_: object, seconds: float) -> object:
    raise ConnectError(string=f"no answer within {seconds:g} seconds")
