"""A WebSocket connection as a channel: Autobahn's protocol below, bytes above.

The boundaries of messages mean nothing, so payload goes up as it arrives and no message is ever collected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from autobahn.wamp.types import TransportDetails
from autobahn.websocket.protocol import WebSocketProtocol
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.limits import Ticket
from nodetrust.libp2p.token_bucket import TokenBucket

MAX_HANDSHAKE_BYTES = 8 * 1024
"""The HTTP request or answer; the usual limit of web servers for all headers together."""
MAX_MESSAGE_BYTES = 1024 * 1024
"""One message. go and js send one for each write, 64 KiB at most. Ours; for order's sake, as no message is kept."""
MAX_FRAGMENTS = 1024
"""Frames of one message; a message of the largest size in pieces of 1 KiB. Ours."""
PING_BURST = 10
"""Pings at once, and then one each second; more end the connection: their answers may wait in our memory. Ours."""
PINGS_PER_SECOND = 1.0
CLOSE_SECONDS = 5.0
"""For the closing handshake; then the socket is aborted. Ours."""
MAX_REASON_BYTES = 123
"""In a Close frame (RFC 6455 §5.5)."""

BINARY = 2
NORMAL_CLOSURE = 1000
CLEAN_CLOSE_CODES = frozenset({NORMAL_CLOSURE, None})
"""1000, and a Close frame without a code (1005): both are an orderly end to go-libp2p."""


class WebSocketChannel(Channel):
    """The upper side. WebSocket knows no half-close: `loseWriteConnection` closes, and what still comes is dropped."""

    def __init__(self, websocket: WebSocketBytes, clock: IReactorTime, ticket: Ticket) -> None:
        super().__init__()
        self.ticket = ticket
        self._websocket = websocket
        self.clock = clock
        self._deadline: IDelayedCall | None = None

    def limit(self, seconds: float) -> None:
        """Abort then, unless `unlimited` or the end comes first."""
        self.unlimited()
        self._deadline = self.clock.callLater(seconds, self.abortConnection)

    def unlimited(self) -> None:
        """Take back the last `limit`."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None

    def lost(self, reason: Failure) -> None:
        """The socket is gone."""
        self.unlimited()
        self.deliver_lost(reason)
        self.ticket.release()

    def pause_lower(self) -> None:
        self._websocket.transport.pauseProducing()

    def resume_lower(self) -> None:
        if self._lost is None:
            self._websocket.transport.resumeProducing()

    def write(self, data: bytes) -> None:
        if data and self._websocket.state == WebSocketProtocol.STATE_OPEN:
            self._websocket.sendFrame(opcode=BINARY, payload=bytes(data))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        self.close(NORMAL_CLOSURE)

    def close(self, code: int) -> None:
        """`loseConnection` that tells the remote side why (RFC 6455 §7.4.1)."""
        if self._websocket.state != WebSocketProtocol.STATE_OPEN or self.disconnecting:
            return
        self.disconnecting = True
        self.limit(CLOSE_SECONDS)
        self._websocket.sendCloseFrame(code=code)
        # The answer stands behind what nobody reads any more, so nobody may hold it up.
        self._websocket.transport.resumeProducing()

    def loseWriteConnection(self) -> None:
        self.loseConnection()

    def abortConnection(self) -> None:
        self.disconnecting = True
        if self._websocket.connected:
            self._websocket.transport.abortConnection()

    def registerProducer(self, producer: object, streaming: bool) -> None:
        self._websocket.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self._websocket.transport.unregisterProducer()

    def getPeer(self) -> IAddress:
        return cast(IAddress, self._websocket.transport.getPeer())

    def getHost(self) -> IAddress:
        return cast(IAddress, self._websocket.transport.getHost())


class PeersFault:
    """Autobahn's log. All that it has to say is about what a peer does, which is no more than `debug` to us."""

    def __init__(self) -> None:
        self._log = Logger("nodetrust.libp2p.transports.websocket")

    def debug(self, _format: str, **_fields: object) -> None:
        """Dropped: several lines for each frame."""

    def warn(self, format: str, **fields: object) -> None:
        """What ends a connection."""
        self._log.debug(format, **fields)

    info = error = warn


class WebSocketBytes(WebSocketProtocol):
    """Mixed into Autobahn's client and server protocols; turns their hooks to a `WebSocketChannel`."""

    log = PeersFault()
    transport: Any  # a TCP or TLS transport: no one interface of Twisted's names all that these can do
    connected: int
    channel: WebSocketChannel
    CONFIG_ATTRS: Sequence[str]
    _message_bytes = 0
    _fragments = 0
    _pings: TokenBucket | None = None

    # From the socket. Autobahn's own versions format several lines of log for each call.

    def connectionMade(self) -> None:
        self._transport_details = TransportDetails()
        self.peer = ""
        self.channel.ticket.socket = self.channel
        self.transport.setTcpNoDelay(True)
        self._connectionMade()

    def dataReceived(self, data: bytes) -> None:
        if self.state == self.STATE_CLOSED:
            return  # Autobahn would keep it
        self._dataReceived(data)
        if self.state == self.STATE_CONNECTING and len(self.data) > MAX_HANDSHAKE_BYTES:
            self.channel.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        clean = self.wasClean and self.remoteCloseCode in CLEAN_CLOSE_CODES
        self._connectionLost(cast(str, reason))  # Autobahn's annotation is wrong
        if clean or reason.check(ConnectionDone):
            # Of a socket that ended in order, but not of the WebSocket on it.
            reason = Failure(ConnectionDone() if clean else ConnectionLost())
        self.channel.lost(reason)

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        self.transport.write(data)

    # From Autobahn.

    def _fail_connection(self, code: int = WebSocketProtocol.CLOSE_STATUS_CODE_GOING_AWAY, reason: str = "") -> None:
        """Heed no more of what comes, and close behind all that was written and a Close that says why (§7.1.7)."""
        if self.state != self.STATE_OPEN:
            super()._fail_connection(code, reason)
            return
        self.channel.limit(CLOSE_SECONDS)
        self.sendCloseFrame(code, reason.encode()[:MAX_REASON_BYTES])
        self.dropConnection()

    def _onOpen(self) -> None:
        self.channel.unlimited()
        # What a browser says is long, and the connection may last for days.
        self.http_headers: dict[str, str] = {}
        self.http_request_data = self.http_response_data = b""
        self.onOpen()

    def onMessageBegin(self, isBinary: bool) -> None:
        self._message_bytes = self._fragments = 0

    def onMessageFrameBegin(self, length: int) -> None:
        self._message_bytes += length
        self._fragments += 1
        if self._message_bytes > MAX_MESSAGE_BYTES or self._fragments > MAX_FRAGMENTS:
            self._fail_connection(self.CLOSE_STATUS_CODE_MESSAGE_TOO_BIG, "message too big")

    def onMessageFrameData(self, payload: bytes) -> None:
        if payload and self.state == self.STATE_OPEN:
            self.channel.deliver(payload)

    def onMessageFrameEnd(self) -> None:
        """Nothing was kept of the frame."""

    def onMessageEnd(self) -> None:
        """Nothing was kept of the message."""

    def onPing(self, payload: bytes) -> None:
        if self._pings is None:
            self._pings = TokenBucket(PING_BURST, PINGS_PER_SECOND)
        if not self._pings.take(self.channel.clock.seconds()):
            self._fail_connection(self.CLOSE_STATUS_CODE_POLICY_VIOLATION, "too many pings")
        elif self.state == self.STATE_OPEN:
            WebSocketProtocol.sendPong(self, payload)

    def onCloseFrame(self, code: Any, reasonRaw: Any) -> bool | None:
        self.channel.limit(CLOSE_SECONDS)
        return super().onCloseFrame(code, reasonRaw)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """The channel is told by `connectionLost`."""
