"""A network on a simulated clock: connections and streams from one host to servers, as far as a client needs them.

What is written arrives a moment later. A host whose addresses change has connections on which nothing arrives any more,
which both sides learn only when yamux gives them up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from nodetrust.libp2p.errors import ConnectionClosed, DialError
from nodetrust.libp2p.identify.wire import Identify
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.requests import RequestFactory, Respond
from nodetrust.libp2p.streams import StreamAddress
from nodetrust.names import IPAddress
from tests.simulation.timeline import Timeline

LATENCY_SECONDS = 0.05
DIAL_SECONDS = 5.0
"""Until a dial to a server that does not answer has failed."""

SILENCE_SECONDS = 40.0
"""Until yamux gives up a connection on which nothing arrives."""

MAX_REQUEST_BYTES = 64 * 1024
REQUEST_SECONDS = 10.0


@dataclass(slots=True)
class Server:
    """A peer that answers at its `places`, which have no /p2p, unless it is `away`."""

    key: PrivateKey
    clock: IReactorTime
    places: Sequence[Multiaddr]
    away: bool = False
    factories: dict[str, RequestFactory] = field(default_factory=dict)

    def handle(self, protocol_id: str, respond: Respond) -> None:
        """As `Host.handle_messages`."""
        self.factories[protocol_id] = RequestFactory(respond, MAX_REQUEST_BYTES, REQUEST_SECONDS, self.clock, 16)

    def place_for(self, addresses: Sequence[Multiaddr], families: Sequence[int]) -> Multiaddr | None:
        """The first of these at which a host with addresses of these families meets it."""
        there = [one for one in addresses if one.without_peer_id() in self.places and not self.away]
        return next((one for one in there if any(one.has(f"ip{family}") for family in families)), None)


class Connection:
    """One side of a connection."""

    def __init__(self, network: Network, remote: PrivateKey, remote_address: Multiaddr, *, outbound: bool) -> None:
        self.remote_peer = remote.peer_id
        self.remote_key = remote.public_key
        self.remote_address = remote_address
        self.outbound = outbound
        self.remote_identify: Identify | None = None
        self.brief = False
        self.closed = False
        self.silent = False
        self.streams: list[Stream] = []
        self.network = network
        self.factories: dict[str, RequestFactory] = {}
        self.far: Connection
        self.on_closed: Callable[[Connection], None] = lambda connection: None

    def spoken(self) -> list[str]:
        return [stream.protocol_id for stream in self.streams]

    async def open_stream(self, protocol_ids: Sequence[str], lazy: bool = False) -> Stream:
        if self.closed:
            raise ConnectionClosed("the connection is closed")
        chosen = next(one for one in protocol_ids if one in self.far.factories)
        near, far = Stream(self, chosen), Stream(self.far, chosen)
        near.far, far.far = far, near
        self.streams.append(near)
        self.far.streams.append(far)
        self.network.later(self, far.accept)
        return near

    def close(self) -> Deferred[None]:
        """Both sides know at once."""
        for side in (self, self.far):
            if not side.closed:
                side.closed = True
                for stream in list(side.streams):
                    stream.end(ConnectionLost())
                side.on_closed(side)
        return succeed(None)


class Stream:
    """One side of a stream: a Twisted transport that keeps what arrives until a protocol is attached."""

    def __init__(self, connection: Connection, protocol_id: str) -> None:
        self.connection = connection
        self.protocol_id = protocol_id
        self.far: Stream
        self._protocol: MessageStream | None = None
        self._kept: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._ended = False

    def accept(self) -> None:
        """At the server: whoever speaks the protocol begins."""
        connection = self.connection
        address: Any = StreamAddress(connection.remote_peer, connection, self.protocol_id)  # type: ignore[arg-type]
        protocol = connection.factories[self.protocol_id].buildProtocol(address)
        if protocol is not None:
            self.attach(protocol)

    def attach(self, protocol: MessageStream) -> None:
        self._protocol = protocol
        protocol.makeConnection(self)  # type: ignore[arg-type]  # of a transport, what it needs
        for call, arguments in self._kept:
            call(*arguments)
        self._kept.clear()

    def write(self, data: bytes) -> None:
        self.connection.network.later(self.connection, self.far.receive, data)

    def loseConnection(self) -> None:
        self.connection.network.later(self.connection, self.far.end, ConnectionDone())

    def abortConnection(self) -> None:
        self.connection.network.later(self.connection, self.far.end, ConnectionLost())

    def pauseProducing(self) -> None:
        """There is never much."""

    def resumeProducing(self) -> None:
        """There is never much."""

    def receive(self, data: bytes) -> None:
        if self._protocol is None:
            self._kept.append((self.receive, (data,)))
        elif not self._ended:
            self._protocol.dataReceived(data)

    def end(self, reason: Exception) -> None:
        if self._protocol is None:
            self._kept.append((self.end, (reason,)))
        elif not self._ended:
            self._ended = True
            if self in self.connection.streams:
                self.connection.streams.remove(self)
            self._protocol.connectionLost(Failure(reason))


class Network:
    """The servers, and how bytes travel."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.servers: dict[PeerId, Server] = {}

    def later(self, connection: Connection, call: Callable[..., None], *arguments: Any) -> None:
        """What one side does arrives at the other, if anything does."""

        def arrive() -> None:
            if not (connection.silent or connection.closed):
                call(*arguments)

        self.timeline.call_later(LATENCY_SECONDS, self.timeline.seconds, arrive)

    def add(self, key: PrivateKey, clock: IReactorTime, places: Sequence[Multiaddr]) -> Server:
        """A server, which has yet to be told what it answers."""
        server = Server(key, clock, [place.without_peer_id() for place in places])
        self.servers[key.peer_id] = server
        return server


class Host:
    """`nodetrust.libp2p.host.Host`, as far as a client uses it: it dials, and says that it listens.

    `outside` has the addresses from which others see its connections come.
    """

    def __init__(self, clock: IReactorTime, network: Network, key: PrivateKey, outside: Sequence[IPAddress]) -> None:
        self.key = key
        self.peer_id = key.peer_id
        self.outside = tuple(outside)
        self.announced: list[Multiaddr] = []
        self._clock = clock
        self._network = network
        self._connections: list[Connection] = []
        self._identified: list[Callable[[Connection], None]] = []
        self._running = True

    # What the client calls.

    async def listen(self, address: Multiaddr, tls: object = None) -> Multiaddr:
        return address

    def announce(self, addresses: Sequence[Multiaddr]) -> None:
        self.announced = [address.without_peer_id() for address in addresses]

    def handle(self, protocol_id: str, factory: object) -> None:
        """Nobody dials it."""

    def on_identified(self, call: Callable[[Any], None]) -> None:
        self._identified.append(call)

    def connections(self, peer_id: PeerId | None = None) -> list[Connection]:
        return [one for one in self._connections if not one.closed and peer_id in (None, one.remote_peer)]

    async def connect(
        self, addresses: Sequence[Multiaddr], peer_id: PeerId | None = None, *, anew: bool = False
    ) -> Connection:
        expected = peer_id or addresses[0].peer_id
        assert expected is not None
        if not anew and (live := self.connections(expected)):
            return live[-1]
        server = self._network.servers[expected]
        place = server.place_for(addresses, [ip.version for ip in self.outside])
        await deferLater(self._clock, LATENCY_SECONDS if place is not None else DIAL_SECONDS)
        if not self._running:
            raise ConnectionClosed("this host has been stopped")
        if place is None:
            raise DialError(f"{expected} does not answer")
        if not anew and (live := self.connections(expected)):
            return live[-1]
        return self._add(server, place)

    @asynccontextmanager
    async def brief_connection(self, addresses: Sequence[Multiaddr], peer_id: PeerId) -> AsyncIterator[Connection]:
        connection = await self.connect(addresses, peer_id, anew=True)
        try:
            yield connection
        finally:
            if len(self.connections(peer_id)) > 1:
                connection.close()

    async def open_messages(
        self, peer_id: PeerId, protocol_ids: Sequence[str], max_bytes: int, timeout: float | None = None
    ) -> MessageStream:
        live = self.connections(peer_id)
        if not live:
            raise ConnectionClosed(f"no connection to {peer_id}")
        stream = MessageStream(max_bytes, self._clock, timeout)
        (await live[-1].open_stream(protocol_ids)).attach(stream)
        return stream

    def stop(self) -> Deferred[None]:
        self._running = False
        for connection in self.connections():
            connection.close()
        return succeed(None)

    # What happens to it.

    def move(self, outside: Sequence[IPAddress]) -> None:
        """From now on others see it elsewhere: connections from an address that it has no more are dead."""
        self.outside = tuple(outside)
        for connection in self.connections():
            if _ip_of(connection.far.remote_address) not in self.outside and not connection.silent:
                connection.silent = connection.far.silent = True
                self._network.timeline.call_later(SILENCE_SECONDS, self._clock.seconds, connection.close)

    def _add(self, server: Server, place: Multiaddr) -> Connection:
        seen_at = next((ip for ip in self.outside if place.has(f"ip{ip.version}")), None)
        if seen_at is None:
            raise DialError("the address is gone while it was dialled")
        here = Multiaddr.parse(f"/ip{seen_at.version}/{seen_at}/tcp/50000")
        near = Connection(self._network, server.key, place, outbound=True)
        far = Connection(self._network, self.key, here, outbound=False)
        near.far, far.far, far.factories = far, near, server.factories
        near.on_closed = self._connections.remove
        self._connections.append(near)
        self._network.later(far, self._identify, near, Identify(observed_address=here))
        return near

    def _identify(self, connection: Connection, identify: Identify) -> None:
        connection.remote_identify = identify
        for observer in self._identified:
            observer(connection)


def _ip_of(address: Multiaddr) -> IPAddress:
    return ip_address(address.get("ip4") or address.get("ip6") or "")
