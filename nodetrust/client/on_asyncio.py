"""The client for a program that asyncio runs: Twisted goes on its loop, and streams are readers and writers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

from twisted.internet import asyncioreactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.client.obtain import Obtained
from nodetrust.discovery import Announced
from nodetrust.discovery.table import MAX_AUTHORS
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.connection import Stream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.streams import StreamAddress, StreamFactory

if TYPE_CHECKING:
    from nodetrust.client.client import Client

T = TypeVar("T")

READ_LIMIT_BYTES = 64 * 1024
"""What a reader keeps before its stream is paused, twice over; as asyncio's own streams."""

MAX_WAITING_PEERS = MAX_AUTHORS
"""As many as there may be at all."""


class WrongReactor(NodetrustError):
    """Twisted has a reactor already, which is not on this loop."""


class StreamWriter:
    """The writing half of a stream; as asyncio's."""

    def __init__(self, stream: Stream, protocol: _ToReader) -> None:
        self.peer: PeerId = stream.connection.remote_peer
        """Who is at the other end."""
        self.protocol_id = stream.protocol_id
        self._stream = stream
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        """Send; `drain` after much of it."""
        self._stream.write(data)

    async def drain(self) -> None:
        """Wait until the other side has read enough of it. Raises ConnectionError where the stream is gone."""
        await self._protocol.writable()

    def write_eof(self) -> None:
        """Say that no more comes; reading goes on."""
        self._protocol.unregister()
        self._stream.loseWriteConnection()

    def close(self) -> None:
        """Send what was written, and end the stream."""
        self._protocol.unregister()
        self._stream.loseConnection()

    def abort(self) -> None:
        """Reset it: the other side sees an error, not an end."""
        self._stream.abortConnection()

    async def wait_closed(self) -> None:
        """Wait until it is gone."""
        await self._protocol.gone.wait()


Speak: TypeAlias = Callable[[asyncio.StreamReader, StreamWriter], Awaitable[None]]
"""Speaks a protocol on one stream, which is closed when it returns and reset when it raises."""


@implementer(IHalfCloseableProtocol, IPushProducer)
class _ToReader(Protocol):
    """Feeds an asyncio reader, and tells when more may be written."""

    transport: Stream

    def __init__(self, begin: Callable[[_ToReader], None] = lambda protocol: None) -> None:
        self.reader = asyncio.StreamReader(READ_LIMIT_BYTES)
        self.gone = asyncio.Event()
        self._begin = begin
        self._registered = False
        self._writable = asyncio.Event()
        self._writable.set()

    def connectionMade(self) -> None:
        self.reader.set_transport(_Pausable(self.transport))
        self.transport.registerProducer(self, True)
        self._registered = True
        self._begin(self)

    def unregister(self) -> None:
        """No more is written: a stream with a producer would wait for it before it ends."""
        if self._registered:
            self._registered = False
            self._writable.set()
            self.transport.unregisterProducer()

    def dataReceived(self, data: bytes) -> None:
        self.reader.feed_data(data)

    def readConnectionLost(self) -> None:
        self.reader.feed_eof()

    def writeConnectionLost(self) -> None:
        """Our half-close went out: whoever asked for it knows."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if isinstance(reason.value, ConnectionDone):
            self.reader.feed_eof()
        else:
            self.reader.set_exception(ConnectionResetError(reason.getErrorMessage()))
        self._registered = False
        self.gone.set()
        self._writable.set()

    async def writable(self) -> None:
        await self._writable.wait()
        if self.gone.is_set():
            raise ConnectionResetError("the stream is gone")

    # What the stream tells whoever writes.

    def pauseProducing(self) -> None:
        self._writable.clear()

    def resumeProducing(self) -> None:
        self._writable.set()

    def stopProducing(self) -> None:
        self._writable.set()


class _Pausable(asyncio.ReadTransport):
    """All that a reader asks of a transport."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    def pause_reading(self) -> None:
        self._stream.pauseProducing()

    def resume_reading(self) -> None:
        self._stream.resumeProducing()


class _Speaking:
    """Builds a protocol for each stream, and runs `speak` on it."""

    def __init__(self, speak: Speak) -> None:
        self._speak = speak
        self._tasks: set[asyncio.Task[None]] = set()

    def buildProtocol(self, addr: StreamAddress) -> _ToReader:
        return _ToReader(self._begin)

    def _begin(self, protocol: _ToReader) -> None:
        task = asyncio.ensure_future(self._run(protocol))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, protocol: _ToReader) -> None:
        writer = StreamWriter(protocol.transport, protocol)
        try:
            await self._speak(protocol.reader, writer)
        except ConnectionError:
            writer.abort()  # the other side is gone, which it knows
        except BaseException:
            writer.abort()
            raise
        else:
            writer.close()


def speaking(speak: Speak) -> StreamFactory:
    """What `Host.handle` wants."""
    return _Speaking(speak)


def reader_and_writer(stream: Stream) -> tuple[asyncio.StreamReader, StreamWriter]:
    """The two halves of a stream that nothing is attached to yet."""
    protocol = _ToReader()
    stream.attach(protocol)
    return protocol.reader, StreamWriter(stream, protocol)


class AsyncioClient:
    """A `Client` on the running loop, from `async with` to its end.

        async with AsyncioClient(issuer="/dns4/…/p2p/…", state="…") as client:
            client.handle("/my/protocol/1.0.0", speak)
            await client.certificate()

    Keywords are the settings of `twistd nodetrust-client`; `client` is the client itself, for all that is no coroutine.
    Only one loop of a process can have Twisted on it, for the process has one reactor.
    """

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._speaking: dict[str, Speak] = {}
        self._watching: set[asyncio.Queue[Announced | None]] = set()
        self._over = False

    async def __aenter__(self) -> Self:
        reactor = reactor_on(asyncio.get_running_loop())
        from nodetrust.client.client import Client  # noqa: PLC0415  # what it imports may import the reactor

        self._client = Client(reactor, **self._settings)
        for protocol_id, speak in self._speaking.items():
            self.client.handle(protocol_id, speaking(speak))
        self._over = False
        try:
            await _future(self.client.start())
        except BaseException:
            await _future(self.client.stop())
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        for news in self._watching:
            news.put_nowait(None)
        await _future(self.client.stop())

    @property
    def client(self) -> Client:
        """The client itself, from `async with` on."""
        if self._client is None:
            raise RuntimeError("there is no client yet: an AsyncioClient begins with `async with`")
        return self._client

    async def certificate(self) -> Obtained:
        """See `Client.certificate`."""
        return await _future(self.client.certificate())

    def handle(self, protocol_id: str, speak: Speak) -> None:
        """Speak a protocol on the streams that others open; before `async with` as well: nobody is too early."""
        self._speaking[protocol_id] = speak
        if self._client is not None:
            self._client.handle(protocol_id, speaking(speak))

    async def announced(self) -> tuple[Multiaddr, ...]:
        """See `Client.announced`."""
        return await _future(self.client.announced())

    async def peers(self) -> AsyncIterator[Announced]:
        """Each peer that is announced, also when it is at other addresses than before; ends with the client.

        Of those that come faster than they are taken, `MAX_WAITING_PEERS` wait; further ones are left out.
        """
        if self._over:
            return
        news: asyncio.Queue[Announced | None] = asyncio.Queue()

        def heard(peer: Announced) -> None:
            if news.qsize() < MAX_WAITING_PEERS:
                news.put_nowait(peer)

        no_more = self.client.on_peer(heard)
        self._watching.add(news)
        try:
            while (peer := await news.get()) is not None:
                yield peer
        finally:
            self._watching.discard(news)
            no_more()

    async def dial(self, where: Any, protocol_ids: str | Sequence[str]) -> tuple[asyncio.StreamReader, StreamWriter]:
        """A stream to a peer; see `Client.dial`."""
        return reader_and_writer(await _future(self.client.dial(where, protocol_ids)))


def reactor_on(loop: asyncio.AbstractEventLoop) -> Any:
    """Twisted's reactor, running on `loop`. Raises `WrongReactor` where the process has another one."""
    if "twisted.internet.reactor" not in sys.modules:
        asyncioreactor.install(loop)
    from twisted.internet import reactor as found  # noqa: PLC0415  # importing it installs it

    reactor: Any = found
    if getattr(reactor, "_asyncioEventloop", None) is not loop:
        raise WrongReactor(
            "Twisted's reactor is not on this loop, and a process has only one: use one loop for all clients, and let "
            "nodetrust install the reactor, before anything else does"
        )
    if not reactor.running:
        # Nobody stops this reactor: its threads must not keep the program from ending.
        reactor.getThreadPool().threadFactory = partial(Thread, daemon=True)
        reactor.startRunning(installSignalHandlers=False)
    return reactor


def _future(deferred: Deferred[T]) -> asyncio.Future[T]:
    return deferred.asFuture(asyncio.get_running_loop())
