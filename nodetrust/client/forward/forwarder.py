"""Listens for WSS in front of a node, and joins everybody who comes to it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.client.forward.connect import connect, keep_alive
from nodetrust.client.forward.errors import NoNode
from nodetrust.client.forward.pipe import GOING_AWAY, LOOK_SECONDS, Pipe
from nodetrust.client.forward.target import Target
from nodetrust.libp2p.errors import ConnectionClosed
from nodetrust.libp2p.limits import ConnectionBudget, Limits
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports import (
    CertificateStore,
    Listener,
    RawConnection,
    TransportAddress,
    UnsupportedAddress,
    WebSocketTransport,
)
from nodetrust.libp2p.transports.websocket_channel import WebSocketChannel

QUIET_SECONDS = 60.0
"""Between two lines of log that the node can't be reached, however many come to find that out."""


class Forwarder:
    """WSS listeners, and a pipe to the node at `target` for each connection.

    `limits` are for connections of browsers, each of which takes two file descriptors. A browser counts as a known peer
    once the node has answered it as it answers those who have proven who they are; before that it may be dropped for a
    newcomer, after it only when it has been idle for longest. `on_unreachable` is called whenever the node can't be
    reached. After `stop` a forwarder is used up.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        target: Target,
        *,
        limits: Limits = Limits(),  # noqa: B008  # immutable
        on_unreachable: Callable[[], None] = lambda: None,
    ) -> None:
        self._reactor = reactor
        self._target = target
        self._on_unreachable = on_unreachable
        self._budget = ConnectionBudget(limits)
        self._transport = WebSocketTransport(reactor, self._budget)
        self._listeners: list[Listener] = []
        self._pipes: set[Pipe] = set()
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._complaints = _Complaints(reactor, target)
        self._running = True
        self._waiting: list[Deferred[None]] = []

    @property
    def connections(self) -> int:
        """How many browsers are joined to the node, or about to be."""
        return len(self._pipes)

    async def listen(self, address: Multiaddr, tls: CertificateStore) -> Multiaddr:
        """Accept WSS at an IP address; return the address with the port that we really have.

        Raises ListenError, UnsupportedAddress.
        """
        if not self._running:
            raise ConnectionClosed("this forwarder has been stopped")
        place = TransportAddress.from_multiaddr(address)
        if not place.tls:
            raise UnsupportedAddress(f"{address} is not an address of secure WebSocket, which ends in /tls/ws")
        listener = await self._transport.listen(place, self._accepted, tls)
        keep_alive(cast(Any, listener.port).socket)
        self._listeners.append(listener)
        if not self._looking.running:
            self._looking.start(LOOK_SECONDS, now=False).addErrback(self._log_bug)
        return listener.address

    async def stop(self) -> None:
        """Close listeners and connections; returns when every socket is closed, DRAIN_SECONDS from now at most."""
        self._running = False
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            await listener.stop()
        if self._looking.running:
            self._looking.stop()
        self._complaints.stop()
        self._budget.abort_all(unauthenticated_only=True)
        for pipe in list(self._pipes):
            pipe.close(GOING_AWAY)
        closed: Deferred[None] = Deferred()
        self._budget.when_empty(lambda: closed.callback(None))
        await closed
        if self._pipes:
            over: Deferred[None] = Deferred()
            self._waiting.append(over)
            await over

    # Inside.

    def _accepted(self, raw: RawConnection) -> None:
        channel = cast(WebSocketChannel, raw.channel)
        if not self._running:
            channel.abortConnection()
            return
        self._pipes.add(
            Pipe(
                channel,
                raw.ticket,
                self._reactor,
                partial(connect, self._reactor, self._target),
                unreachable=self._unreachable,
                over=self._forget,
            )
        )

    def _unreachable(self, reason: NoNode) -> None:
        self._complaints.add(reason)
        self._on_unreachable()

    def _look(self) -> None:
        for pipe in list(self._pipes):
            pipe.look()

    def _forget(self, pipe: Pipe) -> None:
        self._pipes.discard(pipe)
        if not self._pipes:
            waiting, self._waiting = self._waiting, []
            for over in waiting:
                over.callback(None)

    def _log_bug(self, failure: Failure) -> None:
        self.log.failure("the forwarder has failed in a way that is a bug", failure=failure)


class _Complaints:
    """Says at once that the node can't be reached, and then how often it could not, every QUIET_SECONDS at most."""

    log = Logger()

    def __init__(self, clock: IReactorTime, target: Target) -> None:
        self._clock = clock
        self._target = target
        self._quiet: IDelayedCall | None = None
        self._unsaid = 0

    def add(self, reason: NoNode) -> None:
        """One browser was sent away."""
        if self._quiet is not None:
            self._unsaid += 1
            return
        self.log.warn("a browser was sent away: {reason}", reason=str(reason))
        self._quiet = self._clock.callLater(QUIET_SECONDS, self._speak)

    def _speak(self) -> None:
        self._quiet = None
        if self._unsaid:
            unsaid, self._unsaid = self._unsaid, 0
            self.log.warn(
                "{count} more browsers were sent away: no node at {target}", count=unsaid, target=str(self._target)
            )
            self._quiet = self._clock.callLater(QUIET_SECONDS, self._speak)

    def stop(self) -> None:
        """Say no more."""
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
