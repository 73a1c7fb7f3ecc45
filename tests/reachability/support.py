"""A checking server without sockets: a reactor that notes what is dialled, and streams that ask."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import CheckRequest, CheckResponse
from nodetrust.reachability.decide import Rules
from nodetrust.reachability.protocol import CheckProtocol

ZONE = "nt.example.org"
HERE = "/ip4/9.9.9.9/tcp/8959"
ASKER = PrivateKey.from_seed(b"\x01" * 32).peer_id
OTHER = PrivateKey.from_seed(b"\x02" * 32).peer_id


class Reactor(MemoryReactorClock):
    """With the one thing that the fake lacks, and an IP address does not need."""

    nameResolver = None

    @property
    def dialled(self) -> list[tuple[str, int]]:
        """The host and port of every TCP connection that was begun."""
        return [(host, port) for host, port, *_ in self.tcpClients]


class AskingStream:
    """A stream of `peer` that comes from `remote`, with one message (or error) to read."""

    def __init__(self, message: bytes | Exception, remote: str, peer: PeerId = ASKER, here: str = HERE) -> None:
        self.connection = SimpleNamespace(
            remote_peer=peer, remote_address=Multiaddr.parse(remote), local_address=Multiaddr.parse(here)
        )
        self.message = message
        self.written: list[bytes] = []
        self.next: Deferred[bytes] | None = None
        """What fires with whatever is read after the first message."""

    async def read(self) -> bytes:
        first, self.next = self.next is None, Deferred()
        if not first:
            return await self.next
        if isinstance(self.message, Exception):
            raise self.message
        return self.message

    def write(self, message: bytes) -> None:
        self.written.append(message)

    @property
    def response(self) -> CheckResponse:
        """The one answer."""
        [message] = self.written
        return CheckResponse.FromString(message)


class CheckingServer:
    """The protocol on a fake reactor, which is stopped after the test."""

    def __init__(
        self,
        case: SynchronousTestCase,
        rules: Rules = Rules(ZONE),  # noqa: B008  # immutable
        denied: Any = lambda peer, ip: False,
    ) -> None:
        self.reactor = Reactor()
        self.protocol = CheckProtocol(self.reactor, rules, denied)
        case.addCleanup(lambda: Deferred.fromCoroutine(self.protocol.stop()))

    def ask(self, message: bytes | Exception, remote: str = "/ip4/8.8.8.8/tcp/1", **who: Any) -> AskingStream:
        """Begin to answer; `asking` of the stream fires at the end."""
        stream = AskingStream(message, remote, **who)
        stream.asking = Deferred.fromCoroutine(self.protocol.check(stream))
        return stream

    def fail_dials(self, error: Exception) -> None:
        """Every connection that has begun fails with this."""
        clients, self.reactor.tcpClients[:] = list(self.reactor.tcpClients), []
        for _, _, factory, *_ in clients:
            factory.clientConnectionFailed(None, error)


def request(*addresses: str | bytes) -> bytes:
    """A request for these addresses."""
    return CheckRequest(
        addrs=[one if isinstance(one, bytes) else bytes(Multiaddr.parse(one)) for one in addresses]
    ).SerializeToString()


def wss(host: str, port: int = 4443, peer: PeerId = ASKER) -> str:
    """`/HOST/tcp/PORT/tls/ws/p2p/PEER`."""
    return f"/{host}/tcp/{port}/tls/ws/p2p/{peer}"
