"""One question to the gateway over UDP, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol

from nodetrust.portmap.errors import NoAnswerError, PortMapError

T = TypeVar("T")

PORT = 5351
"""Where a gateway listens for NAT-PMP and PCP (RFC 6886 §3.1, RFC 6887 §19.1)."""

RESEND_SECONDS = (0.25, 0.5, 1.0)
"""How long an answer is waited for after each time of sending.

RFC 6886 §3.1 begins so and goes on for a minute; here it is another protocol's turn by then.
"""


async def ask(
    reactor: Any,
    gateway: IPv4Address,
    request: bytes,
    read: Callable[[bytes], T | None],
    waits: Sequence[float] = RESEND_SECONDS,
) -> T:
    """What `read` makes of the gateway's answer, which it gives None for if it is none, and may raise `PortMapError`.

    The socket is connected: the system passes on what comes from the gateway's own address and port alone. Raises
    `NoAnswerError`.
    """
    exchange = _Exchange(reactor, (str(gateway), PORT), request, read, waits)
    try:
        port = reactor.listenUDP(0, exchange)
    except CannotListenError as error:
        raise NoAnswerError(f"there is no socket to ask it with: {error.socketError}") from error
    try:
        exchange.begin()
        return await exchange.outcome
    finally:
        exchange.end()
        port.stopListening()


class _Exchange(DatagramProtocol, Generic[T]):
    noisy = False

    def __init__(
        self,
        reactor: Any,
        gateway: tuple[str, int],
        request: bytes,
        read: Callable[[bytes], T | None],
        waits: Sequence[float],
    ) -> None:
        self.outcome: Deferred[T] = Deferred()
        self._reactor = reactor
        self._gateway = gateway
        self._request = request
        self._read = read
        self._waits = list(waits)
        self._timer: IDelayedCall | None = None

    def begin(self) -> None:
        transport: Any = self.transport
        try:
            transport.connect(*self._gateway)
        except OSError as error:
            self._fail(NoAnswerError(f"it cannot be reached: {error.strerror}"))
        else:
            self._send()

    def end(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _send(self) -> None:
        if not self._waits:
            self._fail(NoAnswerError("it does not answer"))
            return
        self._timer = self._reactor.callLater(self._waits.pop(0), self._send)
        transport: Any = self.transport
        try:
            transport.write(self._request)
        except OSError as error:
            self._fail(NoAnswerError(f"it cannot be reached: {error.strerror}"))

    def datagramReceived(self, data: bytes, address: Any) -> None:
        if self.outcome.called or address[:2] != self._gateway:
            return
        try:
            answer = self._read(data)
        except PortMapError as error:
            self._fail(error)
            return
        if answer is not None:
            self.end()
            self.outcome.callback(answer)

    def connectionRefused(self) -> None:
        self._fail(NoAnswerError("nothing listens for it"))

    def stopProtocol(self) -> None:
        """So does the reactor with epoll tell that nothing listens: it takes the port away."""
        self.connectionRefused()

    def _fail(self, error: PortMapError) -> None:
        self.end()
        if not self.outcome.called:
            self.outcome.errback(error)
