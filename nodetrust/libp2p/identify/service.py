"""Asks every new connection's peer who it is, answers the same question, and pushes news both ways."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any
from typing import Protocol as Shape

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import InvalidData, Libp2pError, LimitExceeded, StreamEnded, Timeout
from nodetrust.libp2p.framing import encode_frame
from nodetrust.libp2p.identify.wire import (
    IDENTIFY,
    MAX_MESSAGE_BYTES,
    MAX_MESSAGES,
    PUSH,
    Identify,
    decode,
    encode,
    update,
)
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.records import seal_peer_record
from nodetrust.libp2p.requests import Respond
from nodetrust.libp2p.streams import StreamAddress, StreamFactory
from nodetrust.libp2p.token_bucket import TokenBucket
from nodetrust.libp2p.transports.address import plain_ip

PROTOCOL_VERSION = "ipfs/0.1.0"
"""What go-libp2p and js-libp2p say."""
EXCHANGE_SECONDS = 5.0
"""For a whole question and answer, as in go-libp2p."""
PUSH_BURST = 10
"""Pushes taken from one connection at once; then one in PUSH_SECONDS. go-libp2p has the same numbers for a subnet."""
PUSH_SECONDS = 5.0


class IdentifiedHost(Shape):
    """What is told of a host, and where it takes our protocols; see `nodetrust.libp2p.host.Host`."""

    key: PrivateKey

    @property
    def protocols(self) -> Sequence[str]: ...

    def addresses(self) -> Sequence[Multiaddr]: ...

    def connections(self) -> Sequence[Connection]: ...

    def handle(self, protocol_id: str, factory: StreamFactory) -> None: ...

    def handle_messages(self, protocol_id: str, respond: Respond, max_bytes: int, timeout: float | None) -> None: ...


class IdentifyService:
    """Identify for one host."""

    log = Logger()

    def __init__(self, host: IdentifiedHost, clock: IReactorTime, agent_version: str) -> None:
        self.observers: list[Callable[[Connection], None]] = []
        self._host = host
        self._clock = clock
        self._agent_version = agent_version
        self._asking: set[Deferred[None]] = set()
        self._push_call: IDelayedCall | None = None
        self._pushes: dict[Connection, TokenBucket] = {}
        self._record: tuple[tuple[Multiaddr, ...], bytes] = ((), b"")

    def start(self) -> None:
        """Answer from now on."""
        self._host.handle(IDENTIFY, _Answering(self.about_us))
        self._host.handle_messages(PUSH, self._take_push, MAX_MESSAGE_BYTES, EXCHANGE_SECONDS)

    def about_us(self, connection: Connection) -> Identify:
        """What we tell the peer on this connection."""
        addresses = tuple(_seen_from(connection, self._host.addresses()))
        return Identify(
            public_key=self._host.key.public_key,
            listen_addresses=addresses,
            protocols=tuple(self._host.protocols),
            observed_address=connection.remote_address,
            protocol_version=PROTOCOL_VERSION,
            agent_version=self._agent_version,
            signed_record=self._sign(addresses),
        )

    def ask(self, connection: Connection) -> None:
        """Ask a new connection's peer; the answer goes to `connection.remote_identify` and the observers."""
        self._run(self._ask(connection), connection)

    def changed(self) -> None:
        """Our protocols or addresses have changed: tell everybody, once for all the changes of this turn."""
        if self._push_call is None and self._host.connections():
            self._push_call = self._clock.callLater(0, self._push_all)

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        self._pushes.pop(connection, None)

    def stop(self) -> None:
        """Ask and tell no more."""
        if self._push_call is not None:
            self._push_call.cancel()
            self._push_call = None
        for exchange in list(self._asking):
            exchange.cancel()

    async def _ask(self, connection: Connection) -> None:
        stream = await connection.open_stream([IDENTIFY], lazy=True)
        self._learn(connection, await _read_all(_messages_on(stream, self._clock)))

    async def _take_push(self, messages: MessageStream) -> None:
        connection = messages.connection
        allowance = self._pushes.setdefault(connection, TokenBucket(PUSH_BURST, 1 / PUSH_SECONDS))
        if not allowance.take(self._clock.seconds()):
            raise LimitExceeded("too many identify pushes")
        self._learn(connection, update(connection.remote_identify, await _read_all(messages)))

    def _learn(self, connection: Connection, identify: Identify) -> None:
        if identify.public_key is not None and identify.public_key != connection.remote_key:
            raise InvalidData("identify names another public key than the handshake")
        if connection.closed:
            return
        connection.remote_identify = identify
        for observer in list(self.observers):
            try:
                observer(connection)
            except Exception:
                self.log.failure("Who watches identify failed")

    def _push_all(self) -> None:
        self._push_call = None
        for connection in self._host.connections():
            known = connection.remote_identify
            if known is not None and PUSH in known.protocols:
                self._run(self._push(connection), connection)

    async def _push(self, connection: Connection) -> None:
        stream = await connection.open_stream([PUSH], lazy=True)
        _tell(stream, self.about_us(connection))

    def _run(self, steps: Coroutine[Deferred[Any], Any, None], connection: Connection) -> None:
        exchange: Deferred[None] = Deferred.fromCoroutine(steps)
        exchange.addTimeout(EXCHANGE_SECONDS, self._clock, _timed_out)
        self._asking.add(exchange)
        exchange.addBoth(self._ran, exchange, connection)

    def _ran(self, result: object, exchange: Deferred[None], connection: Connection) -> None:
        self._asking.discard(exchange)
        if not isinstance(result, Failure):
            return
        if result.check(Libp2pError, CancelledError):
            self.log.debug("identify with {peer}: {reason}", peer=connection.remote_peer, reason=str(result.value))
        else:
            self.log.failure("identify failed", result)

    def _sign(self, addresses: tuple[Multiaddr, ...]) -> bytes:
        if not addresses:
            return b""
        if self._record[0] != addresses:
            seq = int(self._clock.seconds() * 1e9)
            self._record = (addresses, seal_peer_record(self._host.key, seq, addresses))
        return self._record[1]


class _Answering:
    """Answers the question on each stream, and closes it."""

    def __init__(self, about_us: Callable[[Connection], Identify]) -> None:
        self._about_us = about_us

    def buildProtocol(self, addr: StreamAddress) -> Protocol:
        return _Answer(self._about_us(addr.connection))


class _Answer(Protocol):
    transport: Channel

    def __init__(self, identify: Identify) -> None:
        self._identify = identify

    def connectionMade(self) -> None:
        _tell(self.transport, self._identify)


def _tell(stream: Channel, identify: Identify) -> None:
    stream.write(b"".join(encode_frame(message) for message in encode(identify)))
    stream.loseConnection()


def _messages_on(stream: Channel, clock: IReactorTime) -> MessageStream:
    messages = MessageStream(MAX_MESSAGE_BYTES, clock)
    stream.attach(messages)
    return messages


async def _read_all(messages: MessageStream) -> Identify:
    """Read to the end of the stream, or to MAX_MESSAGES, and close it."""
    parts: list[bytes] = []
    try:
        while len(parts) < MAX_MESSAGES:
            parts.append(await messages.read())
    except StreamEnded:
        pass
    except BaseException:
        messages.abort()
        raise
    messages.close()
    return decode(parts)


def _seen_from(connection: Connection, addresses: Iterable[Multiaddr]) -> Iterator[Multiaddr]:
    """What may be of use to this peer: loopback only for loopback; our address on this connection for a wildcard."""
    local = connection.local_address.components[0]
    for address in addresses:
        first, *layers = address.components
        host = plain_ip(first.value or "") if first.name in {"ip4", "ip6"} else None
        if host is None or not (host.is_unspecified or host.is_loopback):
            yield address
        elif host.is_unspecified and first.name == local.name:
            yield Multiaddr.of(*((part.name, part.value) for part in (local, *layers)))
        elif host.is_loopback and plain_ip(local.value or "").is_loopback:
            yield address


def _timed_out(_: object, seconds: float) -> object:
    raise Timeout(f"not done within {seconds:g} seconds")
