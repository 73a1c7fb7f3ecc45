"""Protocols written as a coroutine that is called for every stream with its messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import Libp2pError, StreamEnded, Timeout
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.streams import StreamAddress

Respond = Callable[[MessageStream], Awaitable[None]]
"""Reads requests and writes answers; the stream is closed when it returns, and reset when it raises."""


class RequestFactory:
    """Runs a coroutine for each stream, at most `max_concurrent` at once for one connection; more streams are reset."""

    log = Logger()

    def __init__(
        self, respond: Respond, max_bytes: int, timeout: float | None, clock: IReactorTime, max_concurrent: int
    ) -> None:
        self._respond = respond
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._clock = clock
        self._max_concurrent = max_concurrent
        self._running: Counter[Connection] = Counter()

    def buildProtocol(self, addr: StreamAddress) -> MessageStream | None:
        """None, which resets the stream, if this connection has too many requests running."""
        if self._running[addr.connection] >= self._max_concurrent:
            return None
        self._running[addr.connection] += 1
        return _Request(self._max_bytes, self._clock, self._timeout, self._begin)

    def _begin(self, stream: MessageStream) -> None:
        connection = stream.connection
        running = Deferred.fromCoroutine(self._run(stream))
        running.addBoth(self._finished, stream, connection)

    async def _run(self, stream: MessageStream) -> None:
        await self._respond(stream)

    def _finished(self, result: Failure | None, stream: MessageStream, connection: Connection) -> None:
        self._running[connection] -= 1
        if not self._running[connection]:
            del self._running[connection]
        if not isinstance(result, Failure):
            stream.close()
            return
        stream.abort()
        if result.check(Libp2pError):
            self.log.debug(
                "A request of {peer} failed: {reason}", peer=connection.remote_peer, reason=str(result.value)
            )
        else:
            self.log.failure("A request handler failed", result)


class _Request(MessageStream):
    def __init__(
        self, max_bytes: int, clock: IReactorTime, timeout: float | None, begin: Callable[[MessageStream], None]
    ) -> None:
        super().__init__(max_bytes, clock, timeout)
        self._begin = begin

    def connectionMade(self) -> None:
        self._begin(self)


async def is_gone(stream: MessageStream) -> bool:
    """For a coroutine that works while the peer waits: True as soon as the peer is gone.

    False if it ends its half or says more instead: then it is there. Cancel it when the work is done.
    """
    while True:
        try:
            await stream.read()
        except Timeout:
            continue
        except (StreamEnded, CancelledError):
            return False
        except Libp2pError:
            return True
        return False
