"""Reading queries from a UDP socket and answering them, one datagram after the other: on every system."""

from __future__ import annotations

import errno
import socket
from typing import Protocol

from nodetrust.dns.respond import Responder

MAX_DATAGRAM_BYTES = 4096
"""What is read of a datagram. An honest query is a tenth of that; what is cut here is refused by the parser."""

BATCH = 64
"""Datagrams in a row; TCP and timers wait for a few milliseconds at most while they are answered."""

FLEETING = frozenset({errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED})
"""Errors of reading that mean nothing: no datagram there, or the echo (ICMP) of an answer nobody waited for."""


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

    def exchange(self) -> int:
        """As `Exchange` says."""
        for count in range(BATCH):
            try:
                packet, address = self._socket.recvfrom(MAX_DATAGRAM_BYTES)
            except OSError as error:
                if error.errno in FLEETING:
                    return count
                raise
            self._answer(packet, address)
        return BATCH

    def _answer(self, packet: bytes, address: tuple[str, int]) -> None:
        if address[1] == 0:  # nobody's port: only a forged packet has it
            packet = b""
        source = socket.inet_pton(self._socket.family, address[0].partition("%")[0])
        (response,) = self._responder.respond_all([packet], [source])
        if response is not None:
            try:
                self._socket.sendto(response, address)
            except OSError:
                self._responder.counters.unsent += 1
