"""Sends each of many packets to a server from a socket of its own, all at once, and collects what comes back."""

import contextlib
import selectors
import socket
import struct
import time
from collections.abc import Sequence

UDP_SECONDS = 1.0
UDP_TRIES = 3
"""A packet that is dropped on purpose stays without an answer each time; one lost on a busy machine does not."""

TCP_SECONDS = 3.0
CONNECTIONS_AT_ONCE = 50
QUIET_SECONDS = 0.001
"""Between two octets that are sent on their own, so that each comes in a segment of its own."""

HURRY_SECONDS = 1.5
"""Then the rest follows without a pause: a machine that is busy makes the pauses longer than a server waits."""

Place = tuple[str, int]


def over_udp(place: Place, packets: Sequence[bytes]) -> list[bytes | None]:
    """The datagram that comes back for each packet; None for none."""
    answers: list[bytes | None] = [None] * len(packets)
    for _ in range(UDP_TRIES):
        waiting = [index for index, answer in enumerate(answers) if answer is None]
        _ask_udp(place, packets, waiting, answers)
    return answers


def _ask_udp(place: Place, packets: Sequence[bytes], waiting: list[int], answers: list[bytes | None]) -> None:
    with selectors.DefaultSelector() as selector:
        for index in waiting:
            asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            asking.setblocking(False)
            asking.sendto(packets[index], place)
            selector.register(asking, selectors.EVENT_READ, index)
        give_up = time.monotonic() + UDP_SECONDS
        while selector.get_map() and time.monotonic() < give_up:
            for key, _ in selector.select(give_up - time.monotonic()):
                asking = _socket(key)
                answers[key.data] = asking.recv(65535)
                selector.unregister(asking)
                asking.close()
        for key in list(selector.get_map().values()):
            _socket(key).close()


def _socket(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj


def over_tcp(place: Place, packets: Sequence[bytes], *, split: bool = False) -> list[bytes | None]:
    """The message that comes back for each packet, sent whole or octet by octet; None when it is closed or silent."""
    answers: list[bytes | None] = []
    for first in range(0, len(packets), CONNECTIONS_AT_ONCE):
        answers += _ask_tcp(place, packets[first : first + CONNECTIONS_AT_ONCE], split)
    return answers


def _ask_tcp(place: Place, packets: Sequence[bytes], split: bool) -> list[bytes | None]:
    streams = []
    for _ in packets:
        stream = socket.create_connection(place, TCP_SECONDS)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        streams.append(stream)
    messages = [struct.pack("!H", len(packet)) + packet for packet in packets]
    pieces = [[message[at : at + 1] for at in range(len(message))] if split else [message] for message in messages]
    hurry = time.monotonic() + HURRY_SECONDS
    for turn in range(max(map(len, pieces))):
        for stream, own in zip(streams, pieces, strict=True):
            if turn < len(own):
                _send(stream, own[turn])
        if split and time.monotonic() < hurry:
            time.sleep(QUIET_SECONDS)
    give_up = time.monotonic() + TCP_SECONDS
    answers = [_read_message(stream, give_up) for stream in streams]
    for stream in streams:
        stream.close()
    return answers


def _send(stream: socket.socket, octets: bytes) -> None:
    with contextlib.suppress(OSError):  # it was closed for what it got already
        stream.sendall(octets)


def _read_message(stream: socket.socket, give_up: float) -> bytes | None:
    received = b""
    try:
        while len(received) < 2 or len(received) < 2 + int.from_bytes(received[:2], "big"):
            stream.settimeout(max(0.05, give_up - time.monotonic()))
            octets = stream.recv(65535)
            if not octets:
                return None
            received += octets
    except OSError:
        return None
    return received[2:]


def pipelined(place: Place, packets: Sequence[bytes]) -> list[bytes]:
    """The messages that come back when all packets are written to one connection at once, and then its end."""
    received = b""
    with socket.create_connection(place, TCP_SECONDS) as stream:
        stream.sendall(b"".join(struct.pack("!H", len(packet)) + packet for packet in packets))
        stream.shutdown(socket.SHUT_WR)
        while octets := stream.recv(65535):
            received += octets
    answers = []
    while received:
        end = 2 + int.from_bytes(received[:2], "big")
        answers.append(received[2:end])
        received = received[end:]
    return answers
