"""A server that checks, one that asks, and what may answer a dial, on loopback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.reachability.decide import Rules
from nodetrust.reachability.protocol import CheckProtocol
from tests.libp2p.throwaway_ca import ThrowawayCa
from tests.reachability.support import ZONE

reactor: Any = default_reactor
NAME = f"ip4127-0-0-1.{ZONE}"


class Target(Protocol):
    """Whatever a dialled program does; what it is sent, and whether its socket is closed."""

    def __init__(self, greet: Callable[[Target], None]) -> None:
        self.greet = greet
        self.received = b""
        self.closed: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.greet(self)

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: object = None) -> None:
        self.closed.callback(None)


class CheckingCase(TestCase):
    """`server` checks for `asker`; whatever is made is closed after the test."""

    timeout = 120

    async def setUp(self) -> None:
        self.ca = ThrowawayCa()
        self.server = self.host()
        self.protocol = CheckProtocol(
            reactor, Rules(ZONE, allow_private=True), lambda peer, ip: False, self.ca.trust_root
        )
        self.protocol.serve(self.server)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.protocol.stop()))  # runs after the host's stop
        there = await self.server.listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0"))
        self.servers = [there.with_peer_id(self.server.peer_id)]
        self.asker = self.host()

    def host(self, **options: Any) -> Host:
        host = Host(reactor, PrivateKey.generate(), **options)
        self.addCleanup(host.stop)
        return host

    async def secure(self, host: Host, names: list[str] | None = None, ca: ThrowawayCa | None = None) -> Multiaddr:
        """The WSS address of `host`, which gets a certificate."""
        store = CertificateStore()
        store.set(names or [NAME], *(ca or self.ca).issue(names or [NAME]))
        listening = await host.listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0/tls/ws"), store)
        return self.address(int(listening.get("tcp") or 0), host.peer_id)

    def address(self, port: int, peer: PeerId | None = None) -> Multiaddr:
        """A WSS address with the name that spells loopback."""
        return Multiaddr.parse(f"/dns4/{NAME}/tcp/{port}/tls/ws").with_peer_id(peer or self.asker.peer_id)

    async def target(self, greet: Callable[[Target], None]) -> tuple[int, list[Target]]:
        """A program that listens and does `greet` with each connection; its port and its connections."""
        targets: list[Target] = []

        class Listening(Factory):
            noisy = False

            def buildProtocol(self, addr: object) -> Target:
                targets.append(Target(greet))
                return targets[-1]

        port: IListeningPort = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Listening())
        self.addCleanup(port.stopListening)
        return port.getHost().port, targets

    async def closed_port(self) -> int:
        """A port at which nobody listens any more."""
        port: IListeningPort = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory())
        number: int = port.getHost().port
        await port.stopListening()
        return number

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            await deferLater(reactor, 0.01)
