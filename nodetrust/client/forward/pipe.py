"""One browser, one connection to the node, and what goes between them.

Each end reads only as fast as the other is written to, so that whoever does not read stops the other from sending, and
nothing grows here. WebSocket knows no half-close: the node's is the end, after everything that came before it. A clean
end on one side is a clean one on the other, a broken one a broken one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.client.forward.errors import NoNode
from nodetrust.libp2p.channel import MAX_UNREAD_BYTES, Channel
from nodetrust.libp2p.limits import Ticket
from nodetrust.libp2p.transports.websocket_channel import NORMAL_CLOSURE, WebSocketChannel
from nodetrust.libp2p.upgrade import FIRST_MESSAGE_SECONDS

GOING_AWAY = 1001
TRY_AGAIN_LATER = 1013
"""When the node is not there, or all places are taken. Both are codes of IANA's registry for RFC 6455 §11.7."""

DRAIN_SECONDS = 5.0
"""For what is still to be written when one side has ended; as long as a WebSocket's Close may take. Ours."""
ANSWERS = 3
"""After so many answers of the node a browser counts as known: to the protocols that it proposes (it sends them in one
piece), to its half of the handshake, and to its proof of who it is."""
LOOK_SECONDS = 10.0
STALLED_LOOKS = 6
"""Who has read nothing for so many looks, a minute, is given up; libp2p's own keepalive would take no longer."""


class Pipe:
    """From the first byte of a browser to the end of both connections.

    The node is dialled, by `connect`, when the browser has said something: those who only hold a place cost it nothing.
    `unreachable` is told why that failed, `over` when both connections are closed.
    """

    log = Logger()

    def __init__(
        self,
        browser: WebSocketChannel,
        ticket: Ticket,
        clock: IReactorTime,
        connect: Callable[[], Awaitable[Channel]],
        *,
        unreachable: Callable[[NoNode], None],
        over: Callable[[Pipe], None],
    ) -> None:
        self._ticket = ticket
        self._clock = clock
        self._connect = connect
        self._unreachable = unreachable
        self._over = over
        self._browser = _End(self)
        self._node = _End(self)
        self._node.lost = True  # until there is one
        self._channel = browser
        self._first = bytearray()
        self._connecting: Deferred[None] | None = None
        self._closing = False
        self._gone = False
        self._asked = False
        self._answers = 0
        self._used_at = clock.seconds()
        self._deadline: IDelayedCall = clock.callLater(FIRST_MESSAGE_SECONDS, self.abort)
        browser.attach(self._browser)

    def idle_seconds(self) -> float:
        """For how long nothing has gone either way."""
        return self._clock.seconds() - self._used_at

    def look(self) -> None:
        """Called every LOOK_SECONDS: give up what is stuck."""
        if self._browser.stalled() or self._node.stalled():
            self.abort()

    def close(self, code: int = NORMAL_CLOSURE) -> None:
        """Take nothing more from either side; what has been written to them goes out, in bounded time."""
        if self._closing:
            return
        self._end(DRAIN_SECONDS)
        if not self._node.lost:
            self._node.finish()
            self._node.transport.loseConnection()
        if not self._browser.lost:
            self._browser.finish()
            self._channel.close(code)

    def abort(self) -> None:
        """Drop both connections now."""
        self._end(None)
        for end in (self._node, self._browser):
            if not end.lost:
                end.finish()
        for end in (self._node, self._browser):
            if not end.lost:  # what was kept for it may have been followed by its loss
                end.transport.abortConnection()

    def _end(self, seconds: float | None) -> None:
        self._closing = True
        if self._deadline.active():
            self._deadline.cancel()
        if seconds is not None:
            self._deadline = self._clock.callLater(seconds, self.abort)
        if self._connecting is not None:
            self._connecting.cancel()

    # What the ends hear.

    def received(self, end: _End, data: bytes) -> None:
        """Bytes came in at one end."""
        if self._closing:
            return
        self._used_at = self._clock.seconds()
        if end is self._node:
            if self._answers < ANSWERS and not self._has_room():
                self.close(TRY_AGAIN_LATER)
                return
            self._channel.write(data)
        elif self._node.lost:
            self._keep(data)
        else:
            self._asked = True
            self._node.transport.write(data)

    def lost(self, reason: Failure) -> None:
        """One end's connection is gone, or half-closed."""
        if not self._closing:
            if reason.check(ConnectionDone):
                self.close()
            else:
                self.abort()
        if self._browser.lost and self._node.lost and not self._gone:
            self._gone = True
            if self._deadline.active():
                self._deadline.cancel()
            self._over(self)

    def _has_room(self) -> bool:
        """Count the node's answers; whether the browser may stay. Many bytes in a row are one answer."""
        if not self._asked:
            return True
        self._asked = False
        self._answers += 1
        if self._answers < ANSWERS:
            return True
        self._ticket.idle = self.idle_seconds
        return self._ticket.authenticated()

    # The connection to the node.

    def _keep(self, data: bytes) -> None:
        """For the node, which is dialled now. Reading goes on meanwhile, within limits, or no end would be noticed."""
        self._first += data
        if len(self._first) > MAX_UNREAD_BYTES:
            self._channel.pauseProducing()
        if self._connecting is None:
            self._deadline.cancel()
            self._connecting = Deferred.fromCoroutine(self._join())
            self._connecting.addErrback(self._log_bug)

    async def _join(self) -> None:
        try:
            node = await self._connect()
        except CancelledError:
            return
        except NoNode as reason:
            self._connecting = None
            self.close(TRY_AGAIN_LATER)
            self._unreachable(reason)
            return
        self._connecting = None
        self._asked = True
        self._node.lost = False
        self._channel.registerProducer(self._node, True)
        node.registerProducer(self._browser, True)
        node.write(bytes(self._first))
        self._first.clear()
        node.attach(self._node)
        self._channel.resumeProducing()

    def _log_bug(self, failure: Failure) -> None:
        self.log.failure("a browser could not be joined to the node: a bug", failure=failure)
        self.abort()


@implementer(IHalfCloseableProtocol, IPushProducer)
class _End(Protocol):
    """What its channel is read by, and the producer of the other end's."""

    transport: Channel

    def __init__(self, pipe: Pipe) -> None:
        self.lost = False
        self._pipe = pipe
        self._paused = False
        self._looks = 0

    def dataReceived(self, data: bytes) -> None:
        self._pipe.received(self, data)

    def readConnectionLost(self) -> None:
        self._pipe.lost(connectionDone)

    def writeConnectionLost(self) -> None:
        """We never half-close."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True
        self._pipe.lost(reason)

    def stalled(self) -> bool:
        """Whether it has been paused at each of the last STALLED_LOOKS calls of this, and between them."""
        self._looks = self._looks + 1 if self._paused else 0
        return self._looks > STALLED_LOOKS

    def finish(self) -> None:
        """Nothing more is sent here but what has been written, and nobody minds what comes."""
        self.transport.unregisterProducer()
        self._paused = False
        self.transport.resumeProducing()

    def pauseProducing(self) -> None:
        self._paused = True
        self._looks = 0
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The other end is gone, which its `connectionLost` tells, and how."""
