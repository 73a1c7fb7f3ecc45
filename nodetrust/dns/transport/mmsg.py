"""Many datagrams with one system call: `recvmmsg` and `sendmmsg` of Linux, through the C library.

A call costs about as much as the datagram that it brings, so this halves the cost of answering. Everything that the
kernel is told stands still: buffers, pointers and lengths are laid out once, and a response goes to the address that
its query has left in its slot. For a batch, only the lengths of the responses and where they begin are written.
"""

from __future__ import annotations

import ctypes
import os
import socket
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from nodetrust.dns.respond import Responder
from nodetrust.dns.transport.exchange import FLEETING, MAX_DATAGRAM_BYTES, learns_destination
from nodetrust.dns.wire import MAX_UDP_BYTES

SLOTS = 64
"""Datagrams a call; TCP and timers wait for well under a millisecond while they are answered."""

_STRIDE = MAX_DATAGRAM_BYTES + 64  # not a power of two, or all slots would share a few lines of the cache
_ADDRESSES = {socket.AF_INET: (16, 4, 8), socket.AF_INET6: (28, 8, 24)}
"""By family: the size of its sockaddr, and from where to where in it the address stands."""

_CONTROLS = {socket.AF_INET: (socket.CMSG_SPACE(12), 4), socket.AF_INET6: (socket.CMSG_SPACE(20), 8)}
"""By family: the size of the control message that says where a datagram was sent to (in_pktinfo, in6_pktinfo), and the
word of four octets in it that is the number of the interface."""

_PORT_AT = 2 // 2
"""Where the port stands, in words of two octets."""

_NO_PORT = 0


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Msghdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iov_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Mmsghdr(ctypes.Structure):
    _fields_ = (("header", _Msghdr), ("length", ctypes.c_uint))


_libc = ctypes.CDLL(None, use_errno=True)
_HEADER_BYTES = ctypes.sizeof(_Mmsghdr)


def is_available() -> bool:
    """Whether the C library of this system has both calls."""
    return hasattr(_libc, "recvmmsg") and hasattr(_libc, "sendmmsg")


class ManyAtOnce:
    """An `Exchange` with two system calls for up to `SLOTS` queries."""

    def __init__(self, udp: socket.socket, responder: Responder) -> None:
        self._descriptor = udp.fileno()
        self._responder = responder
        self._name_bytes, begin, end = _ADDRESSES[udp.family]
        # `Any`: a slice of such an array is bytes, which its declaration does not know
        self._queries: Any = (ctypes.c_char * (SLOTS * _STRIDE))()
        names = bytearray(SLOTS * self._name_bytes)
        self._names: Any = (ctypes.c_char * len(names)).from_buffer(names)
        self._ports = memoryview(names).cast("H")[_PORT_AT :: self._name_bytes // 2]
        self._answers = bytearray(SLOTS * MAX_UDP_BYTES)
        self._starts = range(0, SLOTS * _STRIDE, _STRIDE)
        self._addresses = [slice(at + begin, at + end) for at in range(0, len(names), self._name_bytes)]
        self._control_bytes, self._interface_at = _CONTROLS[udp.family] if learns_destination(udp) else (0, 0)
        self._lay_out()

    def _lay_out(self) -> None:
        queries, names = ctypes.addressof(self._queries), ctypes.addressof(self._names)
        self._answers_at = ctypes.addressof(ctypes.c_char.from_buffer(self._answers))
        self._answers_view = memoryview(self._answers)
        out_words = bytearray(SLOTS * ctypes.sizeof(_Iovec))
        self._in_parts = (_Iovec * SLOTS)(*(_Iovec(queries + start, MAX_DATAGRAM_BYTES) for start in self._starts))
        self._out_parts = (_Iovec * SLOTS).from_buffer(out_words)
        self._out_starts = memoryview(out_words).cast("L")[0::2]
        self._out_lengths = memoryview(out_words).cast("L")[1::2]
        controls = bytearray(SLOTS * self._control_bytes or ctypes.sizeof(ctypes.c_int))
        controls_at = ctypes.addressof(ctypes.c_char.from_buffer(controls))
        self._interfaces = memoryview(controls).cast("I")[self._interface_at :: self._control_bytes // 4 or 1]
        in_words = bytearray(SLOTS * _HEADER_BYTES)
        self._in = (_Mmsghdr * SLOTS).from_buffer(in_words)
        self._out = (_Mmsghdr * SLOTS)()
        length_at, step = _Mmsghdr.length.offset // 4, _HEADER_BYTES // 4
        self._in_lengths = memoryview(in_words).cast("I")[length_at::step]
        for headers, parts in ((self._in, self._in_parts), (self._out, self._out_parts)):
            for slot in range(SLOTS):
                header = headers[slot].header
                header.name, header.name_length = names + slot * self._name_bytes, self._name_bytes
                header.iov, header.iov_count = ctypes.addressof(parts[slot]), 1
                if self._control_bytes:
                    header.control, header.control_length = (
                        controls_at + slot * self._control_bytes,
                        self._control_bytes,
                    )
        self._in_at, self._out_at = ctypes.addressof(self._in), ctypes.addressof(self._out)

    def exchange(self) -> int:
        """As `Exchange` says."""
        count = int(_libc.recvmmsg(self._descriptor, ctypes.c_void_p(self._in_at), SLOTS, socket.MSG_DONTWAIT, None))
        if count < 0:
            number = ctypes.get_errno()
            if number in FLEETING:
                return 0
            raise OSError(number, os.strerror(number))
        queries, names = self._queries, self._names
        lengths = self._in_lengths[:count].tolist()
        packets = [queries[at : at + length] for at, length in zip(self._starts, lengths, strict=False)]
        sources = [names[where] for where in self._addresses[:count]]
        ports = self._ports[:count].tolist()
        if _NO_PORT in ports:  # nobody's: only a forged packet has it
            packets = [packet if port != _NO_PORT else b"" for packet, port in zip(packets, ports, strict=True)]
        self._send(self._responder.respond_all(packets, sources))
        return count

    def _send(self, responses: Sequence[bytes | None]) -> None:
        count = len(responses)
        lengths = [0 if response is None else len(response) for response in responses]
        starts = array("L", accumulate(lengths, initial=self._answers_at))
        self._answers_view[: starts[-1] - self._answers_at] = b"".join(filter(None, responses))
        del starts[-1]
        self._out_starts[:count] = starts
        self._out_lengths[:count] = array("L", lengths)
        if self._control_bytes:  # what said "to" says "from" now, whichever interface leads there
            self._interfaces[:count] = array("I", bytes(count * self._interfaces.itemsize))
        for begin, end in _runs(responses):
            self._send_run(begin, end)

    def _send_run(self, begin: int, end: int) -> None:
        while begin < end:
            messages = ctypes.c_void_p(self._out_at + begin * _HEADER_BYTES)
            sent = _libc.sendmmsg(self._descriptor, messages, end - begin, socket.MSG_DONTWAIT)
            if sent > 0:
                begin += sent
            else:  # it says why the first one was not taken; the others may be
                self._responder.counters.unsent += 1
                begin += 1


def _runs(responses: Sequence[bytes | None]) -> Iterator[tuple[int, int]]:
    """From where to where there is no gap (None)."""
    begin = 0
    if None in responses:
        for index, response in enumerate(responses):
            if response is None:
                if begin < index:
                    yield begin, index
                begin = index + 1
    if begin < len(responses):
        yield begin, len(responses)
