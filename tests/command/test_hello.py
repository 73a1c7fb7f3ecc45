"""The demo's message protocol between two hosts."""

from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import TestCase

from nodetrust.command.hello import HELLO_PROTOCOL, MAX_HELLO_BYTES, answer_hello
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr

reactor: Any = default_reactor


class HelloTests(TestCase):
    """Who greets is greeted."""

    timeout = 120

    async def greet(self, message: bytes) -> str:
        """What is answered."""
        self.here, self.there = (Host(reactor, PrivateKey.generate()) for _ in range(2))
        self.addCleanup(self.here.stop)
        self.addCleanup(self.there.stop)
        answer_hello(self.there)
        await self.here.connect([await self.there.listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0"))], self.there.peer_id)
        stream = await self.here.open_messages(self.there.peer_id, [HELLO_PROTOCOL], MAX_HELLO_BYTES, 10.0)
        stream.write(message)
        return (await stream.read()).decode()

    async def test_answer(self) -> None:
        """The answer names both, so that it is seen who speaks with whom."""
        said = await self.greet("grüß dich".encode())
        for host in (self.here, self.there):
            self.assertIn(str(host.peer_id)[-6:], said)

    async def test_nonsense(self) -> None:
        """What is no text, or too long, gets no answer, and no line in the log."""
        for message in (b"\xff", b"x" * (MAX_HELLO_BYTES + 1)):
            with capturedLogs() as logs, self.assertRaises(Libp2pError):
                await self.greet(message)
            self.assertEqual([event for event in logs if event["log_level"] >= LogLevel.warn], [])
