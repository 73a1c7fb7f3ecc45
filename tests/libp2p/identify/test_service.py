"""Tests for what identify refuses; that it works is tested with two hosts, and with go and js."""

from __future__ import annotations

from types import SimpleNamespace

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.framing import encode_frame
from nodetrust.libp2p.identify.service import EXCHANGE_SECONDS, PUSH_BURST, PUSH_SECONDS, IdentifyService
from nodetrust.libp2p.identify.wire import IDENTIFY, MAX_MESSAGES, PUSH, Identify, encode
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.testing.memory import Wire

US, PEER = PrivateKey.from_seed(b"\x01" * 32), PrivateKey.from_seed(b"\x02" * 32)


class FakeConnection(SimpleNamespace):
    """What is set of a connection."""

    __hash__ = object.__hash__


class FakeHost:
    """As much of a host as identify looks at."""

    key = US
    peer_id = US.peer_id
    protocols: tuple[str, ...] = ("/x",)

    def __init__(self) -> None:
        self.handled: dict[str, object] = {}
        self.listening: list[Multiaddr] = []

    def handle(self, protocol_id: str, factory: object) -> None:
        self.handled[protocol_id] = factory

    def handle_messages(self, protocol_id: str, respond: object, max_bytes: int, timeout: float) -> None:
        self.handled[protocol_id] = respond

    def addresses(self) -> list[Multiaddr]:
        return self.listening

    def connections(self) -> list[object]:
        return []


class IdentifyServiceTests(SynchronousTestCase):
    """Asking and being pushed to."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.host = FakeHost()
        self.service = IdentifyService(self.host, self.clock, "agent")
        self.service.start()
        self.connection = FakeConnection(
            open_stream=self.open_stream,
            remote_key=PEER.public_key,
            remote_peer=PEER.peer_id,
            remote_identify=None,
            remote_address=Multiaddr.parse("/ip4/192.0.2.1/tcp/1"),
            local_address=Multiaddr.parse("/ip4/192.0.2.2/tcp/2"),
            closed=False,
        )

    async def open_stream(self, protocol_ids: list[str], lazy: bool) -> object:
        self.assertEqual([IDENTIFY], protocol_ids)
        self.wire = Wire()
        return self.wire.dialer

    def answer(self, data: bytes) -> None:
        self.service.ask(self.connection)
        self.wire.listener.write(data)
        self.wire.listener.loseConnection()
        self.wire.pump(5)

    def test_answer(self) -> None:
        """An answer in several messages is merged, and told to those who asked for it."""
        seen: list[object] = []
        self.service.observers.append(seen.append)
        parts = encode(Identify(public_key=PEER.public_key)) + encode(Identify(protocols=("/y",)))
        self.answer(b"".join(map(encode_frame, parts)))
        told = self.connection.remote_identify
        self.assertEqual((PEER.public_key, ("/y",), [self.connection]), (told.public_key, told.protocols, seen))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_bad_answers(self) -> None:
        """Another's key, garbage and too long messages are no answer; nothing of them is kept, nor logged as ours."""
        for data in (
            encode_frame(encode(Identify(public_key=US.public_key))[0]),
            encode_frame(b"\xff\xff"),
            b"\xff\xff\x03",
        ):
            self.answer(data)
            self.assertIsNone(self.connection.remote_identify)

    def test_endless_answer(self) -> None:
        """Of an endless answer so many messages are read; of one that does not come, nothing after its time."""
        self.answer(encode_frame(b"") * MAX_MESSAGES + b"\xff\xff\x03")
        self.assertIsNotNone(self.connection.remote_identify)
        self.service.ask(self.connection)
        self.clock.advance(EXCHANGE_SECONDS)
        self.assertTrue(self.wire.dialer.aborted)

    def push(self, protocol: str) -> Deferred[None]:
        wire = Wire()
        messages = MessageStream(8192, self.clock)
        wire.dialer.connection = self.connection
        wire.dialer.attach(messages)
        wire.listener.write(encode_frame(encode(Identify(protocols=(protocol,)))[0]))
        wire.listener.loseConnection()
        wire.pump()
        return Deferred.fromCoroutine(self.host.handled[PUSH](messages))

    def test_many_pushes(self) -> None:
        """Some pushes at once are taken, then one now and then."""
        for number in range(PUSH_BURST):
            self.successResultOf(self.push(f"/{number}"))
        self.failureResultOf(self.push("/too-many"))
        self.assertEqual((f"/{PUSH_BURST - 1}",), self.connection.remote_identify.protocols)
        self.clock.advance(PUSH_SECONDS)
        self.successResultOf(self.push("/later"))
        self.failureResultOf(self.push("/too-many"))
        self.assertEqual(("/later",), self.connection.remote_identify.protocols)

    def test_addresses(self) -> None:
        """A peer elsewhere is told no loopback address, and instead of a wildcard the address that it came to."""
        told = {
            "/ip4/0.0.0.0/tcp/9/ws": ["/ip4/192.0.2.2/tcp/9/ws"],
            "/ip6/::/tcp/9": [],
            "/ip4/127.0.0.1/tcp/9": [],
            "/dns4/a.example/tcp/9/tls/ws": ["/dns4/a.example/tcp/9/tls/ws"],
        }
        for address, expected in told.items():
            self.host.listening = [Multiaddr.parse(address)]
            about = self.service.about_us(self.connection)
            self.assertEqual(expected, [str(told) for told in about.listen_addresses])
            self.assertEqual(bool(expected), bool(about.signed_record))
