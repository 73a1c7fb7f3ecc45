"""Hostile listeners: what a peer that dials meets there."""

import os
import socket
import threading
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import blockingCallFromThread

from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.multistream.wire import HEADER, encode_message
from nodetrust.libp2p.noise.cipher import encrypt_frames
from nodetrust.libp2p.noise.machine import Credentials, Handshake
from nodetrust.libp2p.noise.wire import encode_frame
from nodetrust.libp2p.yamux.wire import ACK, FIN, RST, SYN, FrameType, encode
from tests.robustness.attacker import FAREWELL, MUXER, NOISE, PATIENCE_SECONDS, TLS, frame, proposal
from tests.robustness.site import SiteCase

Serve = Callable[[socket.socket], None]


class HostileListener:
    """Accepts one connection on a port of its own, and does to it what it is told."""

    def __init__(self, serve: Serve) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(PATIENCE_SECONDS)
        self._thread = threading.Thread(target=self._run, args=(serve,))
        self._thread.start()
        self.port = self._socket.getsockname()[1]

    def _run(self, serve: Serve) -> None:
        with self._socket, self._socket.accept()[0] as connection:
            connection.settimeout(PATIENCE_SECONDS)
            try:
                serve(connection)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:
                pass

    def join(self) -> None:
        self._thread.join()


def until(connection: socket.socket, wanted: bytes) -> bytes:
    """Read until these bytes have come; returns what is behind them."""
    data = b""
    while wanted not in data:
        more = connection.recv(4096)
        if not more:
            raise ConnectionError("the dialer hung up")
        data += more
    return data.partition(wanted)[2]


def agree_on_noise(connection: socket.socket) -> bytes:
    connection.sendall(proposal(NOISE))
    return until(connection, encode_message(NOISE))


def secure(connection: socket.socket) -> Callable[[bytes], None]:
    """Be an honest Noise listener; returns a function that sends through the encryption."""
    credentials = Credentials(PrivateKey.generate(), X25519PrivateKey.generate(), (MUXER,))
    machine = Handshake(False, credentials, X25519PrivateKey.generate())
    machine.receive_data(agree_on_noise(connection))
    while machine.outcome is None:
        connection.sendall(machine.data_to_send())
        data = connection.recv(4096)
        if not data:
            raise ConnectionError("the dialer hung up")
        machine.receive_data(data)
    cipher = machine.outcome.send
    return lambda data: connection.sendall(b"".join(encrypt_frames(cipher, data)))


garbage = st.one_of(
    st.binary(max_size=300),
    st.sampled_from(
        [
            b"\xff" * 5000,
            proposal("na") * 100,
            proposal(*["na"] * 1000),
            proposal("ls"),
            proposal(TLS),
            encode_message(HEADER) * 1000,
            b"HTTP/1.1 200 OK\r\n\r\n",
            FAREWELL,
        ]
    ),
)
answers = st.one_of(
    st.binary(max_size=300).map(encode_frame),
    st.sampled_from([bytes(32), b"\1" + bytes(31), os.urandom(32) + bytes(300), bytes(8000)]).map(encode_frame),
    st.sampled_from([b"\xff\xff" + bytes(70000), b"\0\0" * 1000]),
)
http_answers = st.builds(
    lambda status, lines, rest: b"\r\n".join([status, *lines, b"", b""]) + rest,
    st.sampled_from(
        [
            b"HTTP/1.1 101 Switching Protocols",
            b"HTTP/1.1 101",
            b"HTTP/1.1 x y",
            b"HTTP/9.9 101 x",
            b"HTTP/1.1 301 Moved",
            b"HTTP/1.1 401 Unauthorized",
            b"\xff\xfe",
            b"",
        ]
    ),
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    b"Upgrade: websocket",
                    b"Connection: Upgrade",
                    b"Sec-WebSocket-Accept: x",
                    b"Sec-WebSocket-Accept: \xff",
                    b"Sec-WebSocket-Extensions: permessage-deflate",
                    b"Sec-WebSocket-Protocol: a",
                    b"Location: http://[::1",
                    b"no colon",
                ]
            ),
            st.binary(max_size=30),
        ),
        max_size=6,
    ),
    st.binary(max_size=30),
)
frames = st.builds(
    frame,
    st.integers(0, 4),
    st.sampled_from([0, SYN, ACK, FIN, RST, SYN | RST, SYN | FIN]),
    st.integers(0, 4),
    st.sampled_from([0, 1, 20, 262145, 2**32 - 1]),
)
streams = st.builds(
    lambda number, flags, body: encode(FrameType.DATA, flags, number, len(body)) + body,
    st.integers(1, 4),
    st.sampled_from([0, 0, SYN, ACK, FIN]),
    st.one_of(garbage, st.just(proposal("/ipfs/id/1.0.0") + b"\xff\xff\x03"), st.just(proposal("/ipfs/id/1.0.0"))),
)


class DialerTests(SiteCase):
    def _count(self) -> dict[str, int]:
        counts = super()._count()
        counts.pop("descriptors")  # the hostile listener's own come and go
        return counts

    def dial(self, serve: Serve, layers: str = "") -> None:
        """Let the issue server's host dial a hostile listener; whatever comes of it, end it."""
        listener = HostileListener(serve)
        address = Multiaddr.parse(f"/ip4/127.0.0.1/tcp/{listener.port}{layers}")

        async def connect() -> None:
            try:
                connection = await self.site.issue.host.connect([address])
            except Libp2pError:
                return
            await connection.when_closed()

        try:
            blockingCallFromThread(
                reactor, lambda: Deferred.fromCoroutine(connect()).addTimeout(2 * PATIENCE_SECONDS, reactor)
            )
        finally:
            listener.join()
        self.barrier()

    async def test_negotiation(self) -> None:
        """Garbage in place of the answer to a proposal fails the dial."""

        @settings(max_examples=60)
        @given(st.booleans(), garbage)
        def attack(header, data):
            self.dial(lambda connection: connection.sendall((encode_message(HEADER) if header else b"") + data))

        await self.attack(attack)

    async def test_noise(self) -> None:
        """Garbage in place of the second message of Noise fails the dial."""

        def serve(data: bytes, connection: socket.socket) -> None:
            agree_on_noise(connection)
            connection.sendall(data)

        @settings(max_examples=60)
        @given(answers)
        def attack(data):
            self.dial(lambda connection: serve(data, connection))

        await self.attack(attack)

    async def test_tls(self) -> None:
        """Garbage from a server that wants TLS fails the dial."""

        def serve(data: bytes, connection: socket.socket) -> None:
            connection.sendall(encode_message(HEADER) + encode_message("na"))
            until(connection, encode_message(TLS))
            connection.sendall(encode_message(TLS) + data)

        @settings(max_examples=40)
        @given(garbage)
        def attack(data):
            self.dial(lambda connection: serve(data, connection))

        await self.attack(attack)

    async def test_farewell(self) -> None:
        """A server that says TLS's goodbye in place of its first record fails the dial."""

        def serve(connection: socket.socket) -> None:
            connection.recv(4096)
            connection.sendall(FAREWELL)

        await self.attack(lambda: self.dial(serve, "/tls/ws"))

    async def test_websocket(self) -> None:
        """Garbage in place of the answer to an upgrade fails the dial."""

        @settings(max_examples=100)
        @given(http_answers, st.sampled_from(["/ws", "/ws", "/tls/ws"]))
        def attack(data, layers):
            def serve(connection: socket.socket) -> None:
                connection.recv(4096)
                connection.sendall(data)

            self.dial(serve, layers)

        await self.attack(attack)

    async def test_after_the_handshake(self) -> None:
        """Garbage in yamux, and in the answer to our identify, ends the connection or the stream, and no more."""

        def serve(pieces: list[bytes], connection: socket.socket) -> None:
            send = secure(connection)
            for piece in pieces:
                send(piece)

        @settings(max_examples=100)
        @given(st.lists(st.one_of(frames, streams, st.binary(min_size=1, max_size=50)), max_size=8))
        def attack(pieces):
            self.dial(lambda connection: serve(pieces, connection))

        await self.attack(attack)
