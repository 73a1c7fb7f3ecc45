"""Reading queries from a UDP socket and answering them, one datagram after the other: on every system."""

from __future__ import annotations

import errno
import socket
import sys
from ipaddress import ip_address
from typing import Any, Protocol

from nodetrust.dns.respond import Responder

MAX_DATAGRAM_BYTES = 4096
"""What is read of a datagram. An honest query is a tenth of that; what is cut here is refused by the parser."""

BATCH = 64
"""Datagrams in a row; TCP and timers wait for a few milliseconds at most while they are answered."""

FLEETING = frozenset({errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED})
"""Errors of reading that mean nothing: no datagram there, or the echo (ICMP) of an answer nobody waited for."""

_IP_PKTINFO = 8  # ip(7); Python knows the name from 3.14 on
_PACKET_INFO = {
    socket.AF_INET: (socket.IPPROTO_IP, _IP_PKTINFO),
    socket.AF_INET6: (socket.IPPROTO_IPV6, getattr(socket, "IPV6_RECVPKTINFO", 49)),
}
"""By family: level and option that ask to be told where a datagram was sent to."""

PACKET_INFO_BYTES = 64
"""Enough for the control message that says so."""


def learns_destination(udp: socket.socket) -> bool:
    """Whether each datagram comes with the address that it was sent to, so that the answer comes from there.

    That is so for a socket bound to every address: for its answers the system would choose an address by itself, and a
    resolver that had asked another one would throw them away.
    """
    if not sys.platform.startswith("linux") or not ip_address(udp.getsockname()[0]).is_unspecified:
        return False
    udp.setsockopt(*_PACKET_INFO[udp.family], 1)
    return True


class Exchange(Protocol):
    """A bound, non-blocking UDP socket and who answers for it."""

    def exchange(self) -> int:
        """Read what is there, up to a batch, and answer it; returns how many datagrams were read.

        An answer that the system does not take (ENOBUFS, EPERM from a packet filter, EHOSTUNREACH) is counted, as if
        the network had lost it. Raises OSError when nothing can be read any more.
        """


class OneByOne:
    """An `Exchange` with two system calls a query."""

    def __init__(self, udp: socket.socket, responder: Responder) -> None:
        self._socket = udp
        self._responder = responder
        self._control_bytes = PACKET_INFO_BYTES if learns_destination(udp) else 0

    def exchange(self) -> int:
        """As `Exchange` says."""
        for count in range(BATCH):
            try:
                packet, control, _, address = self._socket.recvmsg(MAX_DATAGRAM_BYTES, self._control_bytes)
            except OSError as error:
                if error.errno in FLEETING:
                    return count
                raise
            self._answer(packet, control, address)
        return BATCH

    def _answer(self, packet: bytes, control: list[Any], address: tuple[str, int]) -> None:
        if address[1] == 0:  # nobody's port: only a forged packet has it
            packet = b""
        source = socket.inet_pton(self._socket.family, address[0].partition("%")[0])
        (response,) = self._responder.respond_all([packet], [source])
        if response is not None:
            try:
                self._socket.sendmsg([response], control, 0, address)  # what said "to" says "from" when it is sent
            except OSError:
                self._responder.counters.unsent += 1
