"""Garbage on WebSocket ports, plain and secure: in the upgrade, in the frames, and in what the frames carry."""

import contextlib  # not `suppress` itself: Trial takes a name like that in a test module for its own
import ssl
import struct
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.robustness.attacker import NOISE, Attacker, Place, proposal
from tests.robustness.site import SiteCase

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def ws_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    length: int | None = None,
    masked: bool = True,
    reserved: int = 0,
) -> bytes:
    """A frame with a mask of zeros; `length` may lie."""
    size = len(payload) if length is None else length
    mask = 0x80 if masked else 0
    head = bytes([0x80 * fin | reserved << 4 | opcode])
    if size < 126:
        head += bytes([mask | size])
    elif size < 1 << 16:
        head += struct.pack(">BH", mask | 126, size)
    else:
        head += struct.pack(">BQ", mask | 127, size)
    return head + bytes(4 * masked) + payload


class WsAttacker(Attacker):
    """A connection to a WebSocket port, through TLS where that is asked for."""

    def __init__(self, place: Place, secure: bool) -> None:
        super().__init__(place)
        if secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)

    def receive(self) -> bytes:
        try:
            return super().receive()
        except ssl.SSLError:
            return b""

    def send(self, data: bytes) -> None:
        with contextlib.suppress(ssl.SSLError):
            super().send(data)

    def upgrade(self) -> None:
        """The honest HTTP part."""
        self.send(UPGRADE)
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = self.receive()
            if not data:
                raise ConnectionError("an honest upgrade was refused")
            answer += data
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(f"an honest upgrade was refused: {answer!r}")


header_lines = st.one_of(
    st.sampled_from(UPGRADE.strip().split(b"\r\n")),
    st.sampled_from(
        [
            b"Sec-WebSocket-Version: x",
            b"Sec-WebSocket-Version: 99999999999999999999",
            b"Sec-WebSocket-Version: 13, 8",
            b"Sec-WebSocket-Key: \xff",
            b"Sec-WebSocket-Key: short",
            b'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=x; a=b; ;;=="',
            b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99",
            b"Sec-WebSocket-Protocol: a, a, ,\xc3\xa9",
            b"Host: 127.0.0.1:x",
            b"Host: [::1:99999999",
            b"Host: 127.0.0.1:70000",
            b"Origin: http://[::1",
            b"Origin: null",
            b"Origin: http://a:99999999",
            b"Content-Length: -1",
            b"Transfer-Encoding: chunked",
            b"no colon",
            b": empty",
            b"X-Forwarded-For: \xff",
            b"Upgrade: \xf0\x9f\x92\xa9",
            b"Connection: keep-alive",
            b"Cookie: ;;;==\xff",
        ]
    ),
    st.binary(max_size=40),
)
request_lines = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.0",
        b"GET / HTTP/2.0",
        b"GET  HTTP/1.1",
        b"GET",
        b"",
        b"POST / HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"GET http://[::1 HTTP/1.1",
        b"GET /?a=%ff#frag HTTP/1.1",
        b"GET //[ HTTP/1.1",
        b"GET /\xff HTTP/1.1",
        b"CONNECT 127.0.0.1:53 HTTP/1.1",
        b"GET /?redirect=http://x&after=y HTTP/1.1",
        b"GET " + b"/a" * 5000 + b" HTTP/1.1",
    ]
)
ws_frames = st.one_of(
    st.builds(
        ws_frame,
        st.integers(0, 15),
        st.binary(max_size=200),
        fin=st.booleans(),
        length=st.none()
        | st.sampled_from([0, 5, 125, 126, 65535, 65536, 1 << 20, (1 << 20) + 1, 1 << 62, (1 << 64) - 1]),
        masked=st.sampled_from([True, True, True, False]),
        reserved=st.sampled_from([0, 0, 0, 1, 4, 7]),
    ),
    st.builds(
        ws_frame,
        st.just(CLOSE),
        st.sampled_from(
            [b"", b"\x03", b"\x03\xe8", b"\0\0", b"\xff\xff", b"\x03\xe8\xff\xfe", b"\x03\xe8" + bytes(123)]
        ),
    ),
    st.builds(
        ws_frame, st.sampled_from([TEXT, BINARY]), st.sampled_from([proposal(NOISE), b"\xff\xfe", proposal("/none")])
    ),
    st.binary(max_size=50),
)


class WebSocketTests(SiteCase):
    def places(self):
        return st.sampled_from([(self.ws, False), (self.wss, True)])

    async def test_upgrade(self) -> None:
        """A request that is no upgrade, or a bad one, gets an answer or nothing, and the connection is closed."""

        @settings(max_examples=250)
        @given(
            self.places(),
            request_lines,
            st.lists(header_lines, max_size=8),
            st.sampled_from([b"\r\n", b"\r\n", b"\n"]),
            st.binary(max_size=20),
            st.booleans(),
        )
        def attack(place, request, headers, newline, rest, whole):
            if whole:
                headers = [*UPGRADE.strip().split(b"\r\n")[1:], *headers]
            with WsAttacker(*place) as attacker:
                attacker.send(newline.join([request, *headers, b"", b""]) + rest)
                attacker.finish()
                attacker.read_to_end()
            self.barrier()

        await self.attack(attack)

    async def test_not_a_websocket(self) -> None:
        """An ordinary request is answered with an ordinary page; headers without an end are not gathered."""

        def attack() -> None:
            for secure, place in ((False, self.ws), (True, self.wss)):
                with WsAttacker(place, secure) as attacker:
                    attacker.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    self.assertTrue(attacker.read_to_end().startswith(b"HTTP/1.1 404 "))
                with WsAttacker(place, secure) as attacker:
                    attacker.send(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000)
                    attacker.read_to_end()
                self.barrier()

        await self.attack(attack)

    async def test_frames(self) -> None:
        """Random frames after an honest upgrade: the server goes on or hangs up, and keeps nothing."""

        @settings(max_examples=200)
        @given(self.places(), st.lists(ws_frames, max_size=10), st.booleans())
        def attack(place, frames, abruptly):
            with WsAttacker(*place) as attacker:
                attacker.upgrade()
                for data in frames:
                    attacker.send(data)
                if abruptly:
                    attacker.reset()
                else:
                    attacker.finish()
                    attacker.read_to_end()
            self.barrier()

        await self.attack(attack)

    async def test_floods(self) -> None:
        """Huge frames, endless fragments, floods of pings and unmasked frames end the connection at once."""
        noise = proposal(NOISE)
        fragments = [ws_frame(BINARY, noise[:1], fin=False)] + [ws_frame(CONTINUATION, b"", fin=False)] * 20_000
        floods = {
            "huge": [ws_frame(BINARY, bytes(1 << 20), length=1 << 40)],
            "too big": [ws_frame(BINARY, noise + bytes((1 << 20) + 1))],
            "fragments": fragments,
            "pings": [ws_frame(PING, bytes(125))] * 20_000,
            "unmasked": [ws_frame(BINARY, noise, masked=False)],
            "reserved": [ws_frame(BINARY, noise, reserved=4)],
            "opcode": [ws_frame(3, noise)],
            "long control": [ws_frame(PING, bytes(126))],
            "close": [ws_frame(CLOSE, b"\x03\xe8")] * 1000,
            "no continuation": [ws_frame(CONTINUATION, noise)],
            "text that is none": [ws_frame(TEXT, b"\xff\xfe\xff" * 100)],
        }

        def attack() -> None:
            for secure, place in ((False, self.ws), (True, self.wss)):
                for name, frames in floods.items():
                    with WsAttacker(place, secure) as attacker:
                        attacker.upgrade()
                        began = time.monotonic()
                        attacker.send(b"".join(frames))
                        attacker.read_to_end()
                        self.assertLess(time.monotonic() - began, 3, name)
                    self.barrier()

        await self.attack(attack)
