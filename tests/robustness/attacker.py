"""The attackers' side of a socket: blocking, for a thread, with the honest part of each handshake.

The pure machines of the stack do the honest parts; whatever follows is made by hand.
"""

from __future__ import annotations

import os
import socket
import ssl
import struct
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multistream.wire import HEADER, encode_message, take_message
from nodetrust.libp2p.noise.cipher import FrameDecoder, encrypt_frames
from nodetrust.libp2p.noise.machine import Credentials, Handshake
from nodetrust.libp2p.yamux.wire import ACK, SYN, FrameType, encode, encode_data

PATIENCE_SECONDS = 5.0
"""An attacker who has waited so long for the server to do something has found a bug."""

PINGS = 5
"""Tries to learn whether a server still answers."""

MUXER = "/yamux/1.0.0"
NOISE = "/noise"
TLS = "/tls/1.0.0"

FAREWELL = b"\x15\x03\x03\x00\x02\x01\x00"
"""TLS's close_notify, as it is sent while nothing is encrypted yet."""


class Place(NamedTuple):
    """Where to connect to."""

    host: str
    port: int


def client_hello() -> bytes:
    """The first record of an honest TLS client that names no server."""
    context = ssl.create_default_context()
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()


def proposal(*protocol_ids: str) -> bytes:
    """multistream's header and these proposals."""
    return b"".join(map(encode_message, (HEADER, *protocol_ids)))


class Attacker:
    """One TCP connection."""

    def __init__(self, place: Place) -> None:
        self.socket = socket.create_connection(place, PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Attacker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send; that the server has hung up meanwhile is what it should do."""
        with suppress(ConnectionError):
            self.socket.sendall(data)

    def receive(self) -> bytes:
        """What comes next; empty at the end of the connection. Fails if nothing comes."""
        try:
            return self.socket.recv(65536)
        except ConnectionError:
            return b""

    def read_to_end(self) -> bytes:
        """Everything until the server closes, which it must."""
        received = bytearray()
        while data := self.receive():
            received += data
        return bytes(received)

    def finish(self) -> None:
        """Say that no more comes, and go on listening."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


def negotiated(attacker: Attacker, protocol_id: str) -> bytes:
    """Agree on a protocol; returns what the server has sent behind its yes."""
    attacker.send(proposal(protocol_id))
    buffer = bytearray()
    answers: list[str] = []
    while len(answers) < 2:
        data = attacker.receive()
        if not data:
            raise ConnectionError("the server hung up on an honest negotiation")
        buffer += data
        while len(answers) < 2 and (answer := take_message(buffer)) is not None:
            answers.append(answer)
    if answers != [HEADER, protocol_id]:
        raise ConnectionError(f"the server answered {answers}")
    return bytes(buffer)


class NoiseAttacker(Attacker):
    """A connection with a genuine Noise handshake, and yamux agreed on in it."""

    def __init__(self, place: Place, key: PrivateKey | None = None) -> None:
        super().__init__(place)
        unread = negotiated(self, NOISE)
        credentials = Credentials(key or PrivateKey.generate(), X25519PrivateKey.generate(), (MUXER,))
        handshake = Handshake(True, credentials, X25519PrivateKey.generate())
        self.send(handshake.data_to_send())
        handshake.receive_data(unread)
        while handshake.outcome is None:
            handshake.receive_data(self.receive())
        self.send(handshake.data_to_send())
        self._cipher = handshake.outcome.send
        self._decoder = FrameDecoder(handshake.outcome.receive)
        self._plain = bytearray(self._decoder.receive_data(handshake.outcome.unread))

    def send_plain(self, data: bytes) -> None:
        """Send through the encryption."""
        self.send(b"".join(encrypt_frames(self._cipher, data)) if data else b"")

    def receive_plain(self) -> bytes:
        """What comes next, decrypted."""
        if self._plain:
            plain = bytes(self._plain)
            self._plain.clear()
            return plain
        while data := self.receive():
            if plain := self._decoder.receive_data(data):
                return plain
        return b""

    def survives(self) -> bool:
        """Whether the server still answers a ping of yamux, or else has hung up; it has read all that was sent.

        A ping may be lost behind many others, so it is sent again.
        """
        token = int.from_bytes(os.urandom(4), "big")
        expected = encode(FrameType.PING, ACK, 0, token)
        tail = b""
        self.socket.settimeout(PATIENCE_SECONDS / PINGS)
        for _ in range(PINGS):
            self.send_plain(encode(FrameType.PING, SYN, 0, token))
            with suppress(TimeoutError):
                while data := self.receive_plain():
                    if expected in tail + data:
                        self.socket.settimeout(PATIENCE_SECONDS)
                        return True
                    tail = (tail + data)[-len(expected) :]
                return False
        raise TimeoutError("the server neither answers nor hangs up")

    def stream(self, stream_id: int, *pieces: bytes) -> bytes:
        """Frames that open a stream and send these pieces on it."""
        first, *rest = pieces or (b"",)
        return encode_data(stream_id, [first], len(first), SYN) + b"".join(
            encode_data(stream_id, [piece], len(piece)) for piece in rest
        )


def frame(kind: int, flags: int, stream_id: int, length: int, version: int = 0) -> bytes:
    """A header of yamux, of any numbers whatever."""
    return struct.pack(">BBHII", version, kind, flags, stream_id, length)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The pieces between these offsets."""
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges)]
