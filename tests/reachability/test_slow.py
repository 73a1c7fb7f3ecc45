"""Those who are dialled and say too little, and those who ask and leave, over loopback."""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import LogLevel, capturedLogs

from nodetrust.libp2p.transports import websocket
from nodetrust.messages import CHECK_PROTOCOL, MAX_CHECK_RESPONSE_BYTES, CheckFault, CheckRequest
from nodetrust.reachability import dial
from nodetrust.reachability.ask import ask_check
from tests.reachability.site import CheckingCase, Target, reactor

SECONDS = 0.5
"""In place of the real deadlines, which are tens of times as long."""


def drip(data: bytes) -> Callable[[Target], None]:
    """Send `data` octet by octet, for ever."""

    def greet(target: Target) -> None:
        octets = iter(data * 10_000)
        loop = LoopingCall(lambda: target.transport.write(bytes([next(octets)])))
        loop.start(0.01)
        target.closed.addCallback(lambda _: loop.stop())

    return greet


TLS_RECORD = b"\x16\x03\x03\x40\x00"
"""The head of a handshake record of 16 KiB, of which nothing more comes."""

TARGETS: dict[str, Callable[[Target], None]] = {
    "silence": lambda target: None,
    "half a record": lambda target: target.transport.write(TLS_RECORD),
    "a record that drips": drip(TLS_RECORD + bytes(16_000)),
    "reads nothing": lambda target: target.transport.pauseProducing(),
    "an end": lambda target: target.transport.loseConnection(),
    "a reset": lambda target: target.transport.abortConnection(),
    "garbage": lambda target: target.transport.write(os.urandom(100_000)),
    "alerts": lambda target: target.transport.write(b"\x15\x03\x03\x00\x02\x01\x00" * 10_000),
    "HTTP": lambda target: target.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
}


class TargetTests(CheckingCase):
    async def check_all(self) -> None:
        """Each target gets the asker an answer in time, and has its socket closed."""
        for name, greet in TARGETS.items():
            port, targets = await self.target(greet)
            began = reactor.seconds()
            [checked] = await ask_check(self.asker, self.servers, [self.address(port)], reactor)
            self.assertIn(checked.outcome.fault, {CheckFault.NO_LIBP2P, CheckFault.TLS_FAILED}, name)
            self.assertLess(reactor.seconds() - began, 6 * SECONDS, name)
            [target] = targets
            if name == "reads nothing":
                target.transport.resumeProducing()
            await target.closed
            await self.until(lambda: not self.protocol._dialer._budget.open)

    async def test_the_whole_dial(self) -> None:
        """By the deadline of the whole dial."""
        self.patch(dial, "DIAL_SECONDS", SECONDS)
        with capturedLogs() as logs:
            await self.check_all()
        self.assertEqual([one for one in logs if one["log_level"] >= LogLevel.warn], [])

    async def test_the_handshake(self) -> None:
        """By that of the handshakes before libp2p, which is shorter."""
        self.patch(websocket, "HANDSHAKE_SECONDS", SECONDS)
        await self.check_all()

    async def test_half_a_libp2p(self) -> None:
        """A genuine WebSocket server on which no libp2p is spoken, or the upgrade never ends."""
        self.patch(dial, "DIAL_SECONDS", 4 * SECONDS)  # TLS and the upgrade must fit in
        address = await self.secure(self.asker)
        stuck: list[object] = []
        for listener in self.asker._listeners:
            factory = listener.port.factory
            factory._accept = stuck.append
        [checked] = await ask_check(self.asker, self.servers, [address], reactor)
        self.assertEqual(checked.outcome.fault, CheckFault.NO_LIBP2P)
        self.assertIn("2 seconds", checked.outcome.message)
        self.assertEqual(len(stuck), 1)


class AskerTests(CheckingCase):
    async def test_leaves_in_the_middle(self) -> None:
        """When the asker's connection is gone, so is what was dialled for it, at once and without a word in the log."""
        port, targets = await self.target(lambda target: None)
        with capturedLogs() as logs:
            for _ in range(2):
                asker = self.host()
                connection = await asker.connect(self.servers)
                stream = await asker.open_messages(self.server.peer_id, [CHECK_PROTOCOL], MAX_CHECK_RESPONSE_BYTES, 5.0)
                stream.write(CheckRequest(addrs=[bytes(self.address(port))]).SerializeToString())
                await self.until(lambda: len(targets) and targets[-1].received)
                connection.abort()
                await targets.pop().closed
        self.assertEqual(self.protocol._running, set())
        self.assertEqual(self.protocol._bounds._dials, {})
        self.assertEqual([one for one in logs if one["log_level"] >= LogLevel.warn], [])

    async def test_server_stops_in_the_middle(self) -> None:
        """A server that stops closes what it has dialled before it is stopped, though the asker has ended its half."""
        port, targets = await self.target(lambda target: None)
        await self.asker.connect(self.servers)
        stream = await self.asker.open_messages(self.server.peer_id, [CHECK_PROTOCOL], MAX_CHECK_RESPONSE_BYTES, 5.0)
        stream.write(CheckRequest(addrs=[bytes(self.address(port))]).SerializeToString())
        stream.stream.loseWriteConnection()
        await self.until(lambda: targets and targets[0].received)
        await self.server.stop()
        await Deferred.fromCoroutine(self.protocol.stop())
        self.assertEqual(self.protocol._dialer._budget.open, 0)
        await targets[0].closed
