"""When the name of a server is looked up."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.autotls.agent import NamedEndpoint


class Reactor(Clock):
    nameResolver: Any = None


class SilentResolver:
    """Answers nothing."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def lookupAddress(self, name: str, timeout: Any = None) -> Deferred[Any]:
        self.asked.append(name)
        return Deferred()

    lookupIPV6Address = lookupAddress


class NamedEndpointTests(SynchronousTestCase):
    def test_not_in_the_same_turn(self) -> None:
        """The query's socket must not get the descriptor of a connection that is given up in this turn of the reactor.

        For the reactor may still have an event for that one, and would hand it to the new socket.
        """
        reactor, resolver = Reactor(), SilentResolver()
        silent: Any = resolver
        connecting = NamedEndpoint(reactor, silent, "broker.example", 443).connect(Factory())
        self.assertEqual(resolver.asked, [])
        reactor.advance(0)
        self.assertEqual(resolver.asked, ["broker.example"] * 2)
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertEqual(reactor.getDelayedCalls(), [])
