"""The sockets of one address to answer DNS on: bound, non-blocking, the same port number over UDP and TCP.

They may share their address with others (SO_REUSEPORT): with those of this server's other processes, and, for a
hand-over, with those of the server that takes its place. Linux spreads the queries over all of them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from nodetrust.dns.errors import CannotBind
from nodetrust.settings import HostPort

TRIES = 20
"""How often a port of the system's choosing is tried, when TCP has none of the number that UDP got."""

BACKLOG = 4096
"""Connections that the system holds until they are accepted: Linux's own limit. Where a crowd fills it, honest clients
only try again after a second."""

RECEIVE_BYTES = 4 * 1024 * 1024
"""For queries that wait: about 4,000, if the system (net.core.rmem_max) allows as much."""

MakeSocket = Callable[[socket.AddressFamily, socket.SocketKind], socket.socket]


@dataclass(frozen=True, slots=True)
class DnsSockets:
    """What is bound: `place` has the actual port number. `tcp` listens."""

    place: HostPort
    udp: socket.socket
    tcp: socket.socket

    def copy(self) -> DnsSockets:
        """The same sockets by descriptors of their own."""
        return DnsSockets(self.place, self.udp.dup(), self.tcp.dup())

    def close(self) -> None:
        """Let go of both, with all that waits in them."""
        self.udp.close()
        self.tcp.close()


def open_sockets(
    place: HostPort, *, shared: bool = False, make_socket: MakeSocket = socket.socket, tries: int = TRIES
) -> DnsSockets:
    """Bind an address; port 0 means a number that both can have, `shared` that others of this user may bind it too.

    Raises CannotBind with the system's reason.
    """
    udp = _open(place, socket.SOCK_DGRAM, "UDP", shared, make_socket)
    with suppress(OSError):
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    actual = HostPort(place.host, udp.getsockname()[1])
    try:
        tcp = _open(actual, socket.SOCK_STREAM, "TCP", shared, make_socket)
    except CannotBind:
        udp.close()
        if place.port or tries == 1:
            raise
        return open_sockets(place, shared=shared, make_socket=make_socket, tries=tries - 1)
    return DnsSockets(actual, udp, tcp)


def _open(
    place: HostPort, kind: socket.SocketKind, transport: str, shared: bool, make_socket: MakeSocket
) -> socket.socket:
    made = make_socket(socket.AF_INET6 if ":" in place.host else socket.AF_INET, kind)
    try:
        made.setblocking(False)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # past connections that linger after a restart
        made.bind((place.host, place.port))
        if kind == socket.SOCK_STREAM:
            made.listen(BACKLOG)
    except OSError as error:
        made.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CannotBind(f"cannot listen on {place} over {transport}: {reason}") from error
    return made
