"""A request that is cancelled, at whatever point, ends so, and leaves nothing behind."""

from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from nodetrust.acme import AcmeClient, Deadline, generate_account_key

reactor: Any = default_reactor


class Silent(Protocol):
    """Says nothing."""

    factory: "SilentFactory"

    def dataReceived(self, data: bytes) -> None:
        if not self.factory.asked.called:
            self.factory.asked.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.left.callback(None)


class SilentFactory(Factory):
    """Of one connection."""

    noisy = False
    protocol = Silent

    def __init__(self) -> None:
        self.asked: Deferred[None] = Deferred()
        self.left: Deferred[None] = Deferred()


class CancelledTests(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.server = SilentFactory()
        port = reactor.listenTCP(0, self.server, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        client = AcmeClient(reactor, f"https://127.0.0.1:{port.getHost().port}/directory", generate_account_key())
        self.asking = Deferred.fromCoroutine(client.directory(Deadline(reactor, 60.0)))

    async def test_while_the_name_is_looked_up(self) -> None:
        """Which Twisted ends as if there were no such name."""
        self.asking.cancel()
        self.failureResultOf(self.asking, CancelledError)

    async def test_while_tls_is_agreed_on(self) -> None:
        """The connection is closed."""
        await self.server.asked
        self.asking.cancel()
        self.failureResultOf(self.asking, CancelledError)
        await self.server.left
