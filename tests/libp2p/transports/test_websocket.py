"""Tests for nodetrust.libp2p.transports.websocket, as a server, without sockets."""

from __future__ import annotations

import os
import struct

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.limits import ConnectionBudget, Limits
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports.address import TransportAddress
from nodetrust.libp2p.transports.certificates import CertificateStore
from nodetrust.libp2p.transports.sockets import RawConnection
from nodetrust.libp2p.transports.websocket import FIRST_BYTE_SECONDS, HANDSHAKE_SECONDS, _Accepting
from nodetrust.libp2p.transports.websocket_channel import CLOSE_SECONDS, MAX_FRAGMENTS, MAX_MESSAGE_BYTES, PING_BURST
from tests.libp2p.throwaway_ca import ThrowawayCa

REQUEST = (
    b"GET /any/path HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Origin: https://elsewhere.example\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9


def frame(opcode: int, payload: bytes, fin: bool = True) -> bytes:
    """A client's frame."""
    mask = os.urandom(4)
    size = len(payload)
    length = (
        bytes([128 | size])
        if size < 126
        else b"\xfe" + struct.pack("!H", size)
        if size < 65536
        else (b"\xff" + struct.pack("!Q", size))
    )
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([opcode | (128 if fin else 0)]) + length + mask + masked


class Socket(StringTransport):
    """A transport that knows TCP's calls."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        """Unlike its parent, TCP does not mind if there is none."""
        self.producer = None


class Reader(Protocol):
    def __init__(self) -> None:
        self.received = b""
        self.reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure) -> None:
        self.reason = reason


class WebSocketListenerTests(SynchronousTestCase):
    """What a client may send us, and what becomes of it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.budget = ConnectionBudget(Limits())
        self.raw: list[RawConnection] = []
        target = TransportAddress.from_multiaddr(Multiaddr.parse("/ip4/127.0.0.1/tcp/1/ws"))
        factory = _Accepting(self.clock, self.budget, target, self.raw.append, None)
        self.websocket = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 5))
        self.socket = Socket(
            hostAddress=IPv4Address("TCP", "127.0.0.1", 1), peerAddress=IPv4Address("TCP", "192.0.2.1", 5)
        )
        self.websocket.makeConnection(self.socket)
        self.reader = Reader()

    def open(self) -> None:
        self.websocket.dataReceived(REQUEST)
        self.socket.clear()
        self.raw[0].channel.attach(self.reader)

    def assert_failed(self, code: int) -> None:
        """The connection is closing, and the last that it says is why; nothing more is heard, nor waited for long."""
        self.assertTrue(self.socket.disconnecting)
        said, kept = self.socket.value(), self.websocket.data
        self.assertEqual((b"\x88", code), (said[:1], int.from_bytes(said[2:4], "big")))
        self.websocket.dataReceived(frame(BINARY, b"late") + frame(PING, b"late"))
        self.assertNotIn(b"late", self.reader.received)
        self.assertEqual((said, kept), (self.socket.value(), self.websocket.data))
        self.clock.advance(CLOSE_SECONDS)
        self.assertTrue(self.socket.disconnected)
        self.lose(ConnectionDone)
        self.assertIsNotNone(self.reader.reason.check(ConnectionLost))

    def lose(self, reason: type[Exception]) -> None:
        self.websocket.connectionLost(Failure(reason()))

    def test_handshake(self) -> None:
        """Any path and any Origin will do; there is no compression."""
        for index in range(len(REQUEST)):
            self.websocket.dataReceived(REQUEST[index : index + 1])
        answer = self.socket.value()
        self.assertIn(b"101 Switching Protocols", answer)
        self.assertIn(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", answer)
        self.assertNotIn(b"deflate", answer)
        self.assertEqual("/ip4/192.0.2.1/tcp/5/ws", str(self.raw[0].remote_address))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_host(self) -> None:
        """With TLS it is an address, or a name of a certificate; for any other there is no WebSocket here."""
        store = CertificateStore()
        store.set(["a.example", "*.b.example"], *ThrowawayCa().issue(["a.example", "*.b.example"]))
        target = TransportAddress.from_multiaddr(Multiaddr.parse("/ip4/127.0.0.1/tcp/1/tls/ws"))
        factory = _Accepting(self.clock, self.budget, target, self.raw.append, store)
        hosts = (
            (b"a.example", 101),
            (b"A.example.:4443", 101),
            (b"x.b.example", 101),
            (b"192.0.2.7:4443", 101),
            (b"[2001:db8::1]:4443", 101),
            (b"b.example", 403),
            (b"a.example.evil.example", 403),
            (b"localhost", 403),
            (b"[a.example]x", 403),
        )
        for number, (host, status) in enumerate(hosts):
            accepted = factory.buildProtocol(IPv4Address("TCP", f"192.0.2.{number}", 5)).wrappedProtocol
            accepted.makeConnection(socket := Socket())
            accepted.dataReceived(REQUEST.replace(b"a.example", host))
            self.assertIn(b"HTTP/1.1 %d " % status, socket.value(), host)
            self.assertEqual(status == 403, socket.disconnecting, host)
        self.assertEqual(len(self.raw), 5)

    def test_pages_from_nowhere(self) -> None:
        """A page from a file or in a sandboxed frame, or of a program's own, is as welcome as any other."""
        for origin in (b"null", b"file://", b"chrome-extension://abcdefghijklmnop", b"capacitor://localhost"):
            self.setUp()
            self.websocket.dataReceived(REQUEST.replace(b"https://elsewhere.example", origin))
            self.assertIn(b"101 Switching Protocols", self.socket.value(), origin)

    def test_no_websocket_wanted(self) -> None:
        """Whoever asks for a page gets one that is plain text, whatever a browser would make of it, and the end."""
        self.websocket.dataReceived(b"GET /<script> HTTP/1.1\r\nHost: a.example\r\n\r\n")
        head, _, page = self.socket.value().partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 404 Not Found\r\n"))
        for line in (b"Content-Type: text/plain", b"X-Content-Type-Options: nosniff", b"Connection: close"):
            self.assertIn(line, head.split(b"\r\n"))
        self.assertNotIn(b"script", page)
        self.assertTrue(self.socket.disconnecting)

    def test_nothing_kept(self) -> None:
        """The headers of the request are dropped, and no connection has Autobahn's options for itself."""
        self.open()
        self.assertNotIn("sec-websocket-version", repr(vars(self.websocket)).lower())
        self.assertNotIn("failByDrop", vars(self.websocket))

    def test_silence(self) -> None:
        """A client that says nothing is cut off soon."""
        self.clock.advance(FIRST_BYTE_SECONDS - 0.1)
        self.assertFalse(self.socket.disconnected)
        self.clock.advance(0.1)
        self.assertTrue(self.socket.disconnected)

    def test_silence_below_tls(self) -> None:
        """The first byte of TLS is a first byte."""
        for said, cut_off in ((b"", True), (b"\x16", False)):
            target = TransportAddress.from_multiaddr(Multiaddr.parse("/ip4/127.0.0.1/tcp/1/tls/ws"))
            factory = _Accepting(self.clock, self.budget, target, self.raw.append, CertificateStore())
            tls = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 5))
            tls.makeConnection(socket := Socket())
            if said:
                tls.dataReceived(said)
            self.clock.advance(FIRST_BYTE_SECONDS)
            self.assertEqual(cut_off, socket.disconnected)

    def test_slow_handshake(self) -> None:
        """A client that does not come to the point is cut off."""
        self.websocket.dataReceived(REQUEST[:-1])
        self.clock.advance(HANDSHAKE_SECONDS)
        self.assertTrue(self.socket.disconnected)

    def test_long_handshake(self) -> None:
        """So is one that never stops talking."""
        for _ in range(9):
            self.websocket.dataReceived(bytes(1000))
        self.assertTrue(self.socket.disconnected)

    def test_bytes(self) -> None:
        """Binary and text, whole and in fragments, are one stream of bytes, delivered as they come."""
        self.open()
        data = frame(BINARY, b"one ") + frame(BINARY, b"t", False) + frame(0, b"wo \xff") + frame(TEXT, b"three")
        for index in range(len(data)):
            self.websocket.dataReceived(data[index : index + 1])
        self.assertEqual(b"one two \xffthree", self.reader.received)

    def test_text_that_is_none(self) -> None:
        """A text message ends the connection at the first byte that no UTF-8 has there; what was good is delivered."""
        self.open()
        self.websocket.dataReceived(frame(TEXT, b"good\xed", False) + frame(0, b"\xa0bad"))
        self.assertEqual(b"good\xed", self.reader.received)
        self.assert_failed(1007)

    def test_unfinished_message(self) -> None:
        """What has arrived of a message is delivered, whether its end comes or not."""
        self.open()
        self.websocket.dataReceived(frame(BINARY, bytes(60_000))[:1008])
        self.assertEqual(1000, len(self.reader.received))

    def test_write(self) -> None:
        """What is written goes out as binary messages."""
        self.open()
        self.raw[0].channel.writeSequence([b"one", b"two"])
        self.assertEqual(b"\x82\x06onetwo", self.socket.value())

    def test_too_big(self) -> None:
        """A message beyond the limit, in bytes or in fragments, ends the connection."""
        for data in (
            b"\x82\xff" + struct.pack("!Q", MAX_MESSAGE_BYTES + 1) + bytes(4),
            frame(BINARY, b"", False) + frame(0, b"", False) * MAX_FRAGMENTS,
        ):
            self.setUp()
            self.open()
            self.websocket.dataReceived(data)
            self.assert_failed(1009)

    def test_pings(self) -> None:
        """Some pings are answered; a flood of them ends the connection."""
        self.open()
        self.websocket.dataReceived(frame(PING, b"x") * PING_BURST)
        self.assertEqual(b"\x8a\x01x" * PING_BURST, self.socket.value())
        self.assertFalse(self.socket.disconnecting)
        self.socket.clear()
        self.websocket.dataReceived(frame(PING, b"x"))
        self.assert_failed(1008)

    def test_close_codes(self) -> None:
        """1000 and no code at all are a clean end, any other code is not, and neither is an end without a Close."""
        for payload, kind in (
            (struct.pack("!H", 1000), ConnectionDone),
            (b"", ConnectionDone),
            (b"\x03\xe9", ConnectionLost),
        ):
            self.setUp()
            self.open()
            self.websocket.dataReceived(frame(CLOSE, payload))
            self.assertTrue(self.socket.disconnecting)
            self.lose(ConnectionDone)
            self.assertIsNotNone(self.reader.reason.check(kind), payload)
            self.assertEqual(([], 0), (self.clock.getDelayedCalls(), self.budget.open))
        self.setUp()
        self.open()
        self.lose(ConnectionDone)
        self.assertIsNotNone(self.reader.reason.check(ConnectionLost))

    def test_our_close(self) -> None:
        """We say Close, wait for the answer in bounded time, and deliver nothing more."""
        self.open()
        self.raw[0].channel.loseConnection()
        self.assertEqual(b"\x88\x02\x03\xe8", self.socket.value())
        self.websocket.dataReceived(frame(BINARY, b"late"))
        self.assertEqual(b"", self.reader.received)
        self.clock.advance(CLOSE_SECONDS)
        self.assertTrue(self.socket.disconnected)

    def test_close_with_a_reason(self) -> None:
        """The code may say why we close."""
        self.open()
        self.raw[0].channel.close(1013)
        self.assertEqual(b"\x88\x02\x03\xf5", self.socket.value())
        self.raw[0].channel.loseConnection()
        self.assertEqual(b"\x88\x02\x03\xf5", self.socket.value())

    def test_answered_close(self) -> None:
        """When the answer to our Close comes, the connection has ended cleanly."""
        self.open()
        self.raw[0].channel.loseConnection()
        self.websocket.dataReceived(frame(CLOSE, struct.pack("!H", 1000)))
        self.assertTrue(self.socket.disconnected)
        self.lose(ConnectionLost)
        self.assertIsNotNone(self.reader.reason.check(ConnectionDone))

    def test_back_pressure(self) -> None:
        """A reader that pauses pauses the socket; our producer is the socket's."""
        self.open()
        channel = self.raw[0].channel
        channel.pauseProducing()
        self.assertEqual("paused", self.socket.producerState)
        self.websocket.dataReceived(frame(BINARY, b"kept"))
        self.assertEqual(b"", self.reader.received)
        channel.resumeProducing()
        self.assertEqual((b"kept", "producing"), (self.reader.received, self.socket.producerState))
        producer = object()
        channel.registerProducer(producer, True)
        self.assertIs(producer, self.socket.producer)

    def test_garbage(self) -> None:
        """After the handshake, frames that break the rules end the connection."""
        for data in (b"\x82\x01x", b"\xf2\x80" + bytes(4), b"\x83\x80" + bytes(4), b"\x80\x80" + bytes(4)):
            self.setUp()
            self.open()
            self.websocket.dataReceived(data)
            self.assert_failed(1002)

    def test_garbage_after_our_close(self) -> None:
        """Whoever answers our Close with what breaks the rules is not told why."""
        self.open()
        self.raw[0].channel.loseConnection()
        self.socket.clear()
        self.websocket.dataReceived(b"\x83\x80" + bytes(4))
        self.assertTrue(self.socket.disconnected)
        self.assertEqual(b"", self.socket.value())
