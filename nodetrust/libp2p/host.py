"""A libp2p node: it dials and listens, and gives every stream to the one who speaks its protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IResolver
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.libp2p.connection import Connection, Stream
from nodetrust.libp2p.dialer import Dialer, find_transport
from nodetrust.libp2p.errors import ConnectionClosed, DialError, Libp2pError
from nodetrust.libp2p.identify import IdentifyService
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.limits import ConnectionBudget, Limits
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.noise import NoiseSecurity
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.ping import PROTOCOL_ID as PING
from nodetrust.libp2p.ping import PingResponder
from nodetrust.libp2p.requests import RequestFactory, Respond
from nodetrust.libp2p.security import Security
from nodetrust.libp2p.streams import StreamAddress, StreamFactory
from nodetrust.libp2p.tls import TlsSecurity
from nodetrust.libp2p.transports import (
    CertificateStore,
    Listener,
    RawConnection,
    TcpTransport,
    TransportAddress,
    WebSocketTransport,
)
from nodetrust.libp2p.transports.sockets import HostReactor
from nodetrust.libp2p.upgrade import MUXERS, Upgraded, upgrade_inbound

if TYPE_CHECKING:
    from twisted.internet._sslverify import IOpenSSLTrustRoot  # the name by which Twisted documents it

STOP_SECONDS = 5.0
"""How long `stop` waits for the remote sides before it aborts what is still open. Ours."""

ConnectionObserver = Callable[[Connection], None]


class Host:
    """One peer ID, its connections and its protocols.

    `resolver` answers the names in addresses (else the reactor does); `trust_root` judges the certificates of secure
    WebSocket servers (else the platform does). After `stop` a host is used up.
    """

    log = Logger()

    def __init__(
        self,
        reactor: HostReactor,
        key: PrivateKey,
        *,
        securities: Sequence[Security] | None = None,
        agent_version: str = "nodetrust",
        limits: Limits = Limits(),  # noqa: B008  # immutable
        resolver: IResolver | None = None,
        trust_root: IOpenSSLTrustRoot | None = None,
    ) -> None:
        self.key = key
        self.peer_id = key.peer_id
        self.announced: list[Multiaddr] = []
        self._reactor = reactor
        self._limits = limits
        self._budget = ConnectionBudget(limits)
        # Noise first: its handshake takes less than half the CPU time of TLS (0.8 ms and 1.9 ms for both ends here).
        self._securities = securities or (NoiseSecurity(key, MUXERS), TlsSecurity(key, MUXERS, reactor))
        self._transports = (
            TcpTransport(reactor, self._budget, resolver),
            WebSocketTransport(reactor, self._budget, resolver, trust_root),
        )
        self._dialer = Dialer(reactor, self.peer_id, self._transports, self._securities)
        self._protocols: dict[str, StreamFactory] = {}
        self._listeners: list[Listener] = []
        self._connections: dict[PeerId, list[Connection]] = {}
        self._dials: dict[PeerId, _SharedDial] = {}
        self._tasks: set[Deferred[Any]] = set()
        self._connected: list[ConnectionObserver] = []
        self._disconnected: list[ConnectionObserver] = []
        self._running = True
        self._stopped = False
        self._stop_callers: list[Deferred[None]] = []
        self._identify = IdentifyService(self, reactor, agent_version)
        self._identify.start()
        self.handle(PING, PingResponder(reactor))

    # Addresses.

    async def listen(self, address: Multiaddr, tls: CertificateStore | None = None) -> Multiaddr:
        """Accept connections at an IP address; return the address with the port that we really have.

        A secure WebSocket address needs `tls`. Raises ListenError, UnsupportedAddress.
        """
        self._check_running()
        target = TransportAddress.from_multiaddr(address)
        transport = find_transport(self._transports, target, address)
        listener = await transport.listen(target, self._accepted, tls)
        self._listeners.append(listener)
        self._identify.changed()
        return listener.address

    def addresses(self) -> list[Multiaddr]:
        """Where others reach us: `announced` if set, else where we listen. Without `/p2p`."""
        return list(self.announced) or self.listening

    @property
    def listening(self) -> list[Multiaddr]:
        """Where we listen, whatever is announced."""
        return [listener.address for listener in self._listeners]

    def announce(self, addresses: Sequence[Multiaddr]) -> None:
        """Set `announced`, and tell the peers."""
        self.announced = [address.without_peer_id() for address in addresses]
        self._identify.changed()

    # Connections.

    async def connect(
        self, addresses: Sequence[Multiaddr], peer_id: PeerId | None = None, *, anew: bool = False
    ) -> Connection:
        """A connection to the peer: a live one, else the first that one of the addresses leads to.

        Without `peer_id` the `/p2p` of the addresses says who is expected; if they have none, anybody is welcome.
        Several callers for one peer share a dial, unless `anew` asks for a connection that has just been made over one
        of these addresses. Raises DialError.
        """
        self._check_running()
        expected = _expected_peer(addresses, peer_id)
        if expected is None or (anew and expected != self.peer_id):
            return await self._start_dial(addresses, expected, shared=False).only_result()
        if expected == self.peer_id:
            raise DialError("won't dial ourselves")
        while True:
            if live := self.connections(expected):
                return _for_others(live)
            shared = self._dials.get(expected) or self._start_dial(addresses, expected)
            try:
                return await shared.result()
            except DialError:
                if shared.addresses.issuperset(addresses):
                    raise

    @asynccontextmanager
    async def brief_connection(self, addresses: Sequence[Multiaddr], peer_id: PeerId) -> AsyncIterator[Connection]:
        """One that has just been made over one of these addresses, for a single exchange; it is closed after that.

        Unless it is the only one to the peer then. Others, who would lose it in the midst of theirs, get another one
        where there is one. Raises DialError.
        """
        connection = await self.connect(addresses, peer_id, anew=True)
        connection.brief = True
        try:
            yield connection
        finally:
            if len(self.connections(peer_id)) > 1:
                connection.close()
            connection.brief = False

    def connections(self, peer_id: PeerId | None = None) -> list[Connection]:
        """The live connections, oldest first; to one peer or to all."""
        known = self._connections.values() if peer_id is None else [self._connections.get(peer_id, [])]
        return [connection for connections in known for connection in connections if not connection.closed]

    def on_connected(self, call: ConnectionObserver) -> None:
        """Call for every new connection, before any stream of it."""
        self._connected.append(call)

    def on_disconnected(self, call: ConnectionObserver) -> None:
        """Call for every connection that is gone."""
        self._disconnected.append(call)

    def on_identified(self, call: ConnectionObserver) -> None:
        """Call whenever a peer has told about itself: `connection.remote_identify` is new."""
        self._identify.observers.append(call)

    # Protocols.

    @property
    def protocols(self) -> list[str]:
        """What we speak, as identify tells it."""
        return sorted(self._protocols)

    def handle(self, protocol_id: str, factory: StreamFactory) -> None:
        """Give inbound streams of a protocol to `factory.buildProtocol(StreamAddress)`; None refuses (resets) one."""
        self._protocols[protocol_id] = factory
        self._identify.changed()

    def handle_messages(self, protocol_id: str, respond: Respond, max_bytes: int, timeout: float | None = None) -> None:
        """Call `respond(MessageStream)` for every inbound stream of a protocol; `timeout` seconds bound each read.

        The stream is closed when the coroutine returns and reset when it raises: a Libp2pError is the peer's fault,
        anything else is logged as a bug.
        """
        most = self._limits.requests_per_connection
        self.handle(protocol_id, RequestFactory(respond, max_bytes, timeout, self._reactor, most))

    def stop_handling(self, protocol_id: str) -> None:
        """Refuse the protocol from now on; open streams go on."""
        del self._protocols[protocol_id]
        self._identify.changed()

    async def open_stream(self, peer_id: PeerId, protocol_ids: Sequence[str], lazy: bool = False) -> Stream:
        """A stream on the newest connection to a peer that is no brief one; see `Connection.open_stream`."""
        live = self.connections(peer_id)
        if not live:
            raise ConnectionClosed(f"no connection to {peer_id}")
        return await _for_others(live).open_stream(protocol_ids, lazy)

    async def open_messages(
        self,
        peer_id: PeerId,
        protocol_ids: Sequence[str],
        max_bytes: int,
        timeout: float | None = None,
        *,
        lazy: bool = False,
    ) -> MessageStream:
        """The same, for whole messages; `timeout` seconds bound each read."""
        stream = await self.open_stream(peer_id, protocol_ids, lazy)
        messages = MessageStream(max_bytes, self._reactor, timeout)
        stream.attach(messages)
        return messages

    # The end.

    def stop(self) -> Deferred[None]:
        """Close listeners, dials and connections; fires when every socket is closed, STOP_SECONDS from now at most."""
        stopped: Deferred[None] = Deferred()
        if self._stopped:
            stopped.callback(None)
            return stopped
        self._stop_callers.append(stopped)
        if self._running:
            self._running = False
            Deferred.fromCoroutine(self._stop()).addBoth(self._tell_stopped)
        return stopped

    async def _stop(self) -> None:
        self._identify.stop()
        for listener in self._listeners:
            await listener.stop()
        for task in list(self._tasks):
            task.cancel()
        self._budget.abort_all(unauthenticated_only=True)
        for connection in self.connections():
            connection.close()
        empty: Deferred[None] = Deferred()
        self._budget.when_empty(lambda: empty.callback(None))
        forced = self._reactor.callLater(STOP_SECONDS, self._budget.abort_all)
        await empty
        if forced.active():
            forced.cancel()

    def _tell_stopped(self, result: Failure | None) -> None:
        self._stopped = True
        callers, self._stop_callers = self._stop_callers, []
        for caller in callers:
            caller.callback(result)

    # Inside.

    def _check_running(self) -> None:
        if not self._running:
            raise ConnectionClosed("this host has been stopped")

    def _begin(self, steps: Coroutine[Deferred[Any], Any, None]) -> None:
        """Run until done, or until `stop` cancels it. The coroutine deals with its own failures."""
        task = Deferred.fromCoroutine(steps)
        self._tasks.add(task)
        task.addBoth(self._ended, task)

    def _ended(self, result: object, task: Deferred[Any]) -> None:
        self._tasks.discard(task)
        if isinstance(result, Failure) and not result.check(Libp2pError) and self._running:
            self.log.failure("A task of the host failed", result)

    def _start_dial(
        self, addresses: Sequence[Multiaddr], expected: PeerId | None, *, shared: bool = True
    ) -> _SharedDial:
        dial = _SharedDial(frozenset(addresses))
        if shared and expected is not None:
            self._dials[expected] = dial
        self._begin(self._dial_shared(dial, addresses, expected))
        return dial

    async def _dial_shared(self, shared: _SharedDial, addresses: Sequence[Multiaddr], expected: PeerId | None) -> None:
        outcome: Connection | Exception
        try:
            outcome = await self._dial(addresses, expected)
        except Libp2pError as reason:
            outcome = reason
        except CancelledError:
            outcome = ConnectionClosed("the host was stopped while it dialed")
        if expected is not None and self._dials.get(expected) is shared:
            del self._dials[expected]
        if shared.given_up and isinstance(outcome, Connection):
            outcome.close()
        shared.over(outcome)

    async def _dial(self, addresses: Sequence[Multiaddr], expected: PeerId | None) -> Connection:
        raw, upgraded = await self._dialer.dial(addresses, expected)
        if not self._running:
            raw.channel.abortConnection()
            raise ConnectionClosed("this host has been stopped")
        raw.ticket.authenticated()
        return self._add(raw, upgraded, outbound=True)

    def _accepted(self, raw: RawConnection) -> None:
        self._begin(self._upgrade(raw))

    async def _upgrade(self, raw: RawConnection) -> None:
        try:
            upgraded = await upgrade_inbound(raw.channel, self._securities, self._reactor)
        except Libp2pError as reason:
            self.log.debug("No connection from {address}: {reason}", address=raw.remote_address, reason=str(reason))
            return
        peer = upgraded.secured.remote_peer
        crowded = peer == self.peer_id or len(self.connections(peer)) >= self._limits.connections_per_peer
        if crowded or not raw.ticket.authenticated():
            self.log.debug("No room for a connection of {peer}", peer=peer)
            raw.channel.abortConnection()
            return
        self._add(raw, upgraded, outbound=False)

    def _add(self, raw: RawConnection, upgraded: Upgraded, outbound: bool) -> Connection:
        connection = Connection(
            raw,
            upgraded,
            outbound=outbound,
            clock=self._reactor,
            protocols=self._protocols.keys(),
            on_stream=self._route,
            on_closed=self._removed,
        )
        raw.ticket.idle = connection.idle_seconds
        raw.channel.peer_known()
        self._connections.setdefault(connection.remote_peer, []).append(connection)
        self._tell(self._connected, connection)
        connection.start()
        if not connection.closed:
            self._identify.ask(connection)
        return connection

    def _removed(self, connection: Connection) -> None:
        siblings = self._connections[connection.remote_peer]
        siblings.remove(connection)
        if not siblings:
            del self._connections[connection.remote_peer]
        self._identify.forget(connection)
        self._tell(self._disconnected, connection)

    def _route(self, stream: Stream) -> None:
        factory = self._protocols.get(stream.protocol_id)
        address = StreamAddress(stream.connection.remote_peer, stream.connection, stream.protocol_id)
        protocol = factory.buildProtocol(address) if factory is not None else None
        if protocol is None:
            stream.abortConnection()
        else:
            stream.attach(protocol)

    def _tell(self, observers: Sequence[ConnectionObserver], connection: Connection) -> None:
        for observer in list(observers):
            try:
                observer(connection)
            except Exception:
                self.log.failure("Who watches connections failed")


class _SharedDial:
    """A dial for which several callers may wait; a caller that gives up does not end it for the others."""

    def __init__(self, addresses: frozenset[Multiaddr]) -> None:
        self.addresses = addresses
        self.given_up = False
        """Its connection was for one caller alone, who wants it no more."""
        self._outcome: Connection | Exception | None = None
        self._waiting: list[Deferred[None]] = []

    async def result(self) -> Connection:
        if self._outcome is None:
            waiting: Deferred[None] = Deferred(self._waiting.remove)
            self._waiting.append(waiting)
            await waiting
        if isinstance(self._outcome, Connection):
            return self._outcome
        assert self._outcome is not None  # noqa: S101  # `over` sets it before it wakes us
        raise self._outcome

    async def only_result(self) -> Connection:
        """The same, for a dial that is not shared."""
        try:
            return await self.result()
        except CancelledError:
            self.given_up = True
            raise

    def over(self, outcome: Connection | Exception) -> None:
        self._outcome = outcome
        waiting, self._waiting = self._waiting, []
        for caller in waiting:
            caller.callback(None)


def _for_others(live: Sequence[Connection]) -> Connection:
    """The newest that is no brief one; the newest, if all are."""
    return next((connection for connection in reversed(live) if not connection.brief), live[-1])


def _expected_peer(addresses: Sequence[Multiaddr], peer_id: PeerId | None) -> PeerId | None:
    named = {address.peer_id for address in addresses if address.peer_id is not None}
    if peer_id is not None:
        named.add(peer_id)
    if len(named) > 1:
        raise DialError("the addresses are those of different peers")
    return named.pop() if named else None
