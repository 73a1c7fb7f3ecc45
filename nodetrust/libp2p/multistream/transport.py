"""multistream-select on a channel: agree on a protocol, then leave the channel to it.

When `select_outbound` or `select_inbound` returns, the channel is detached and holds whatever came behind the
negotiation. When one of them raises (or is cancelled), the channel has been aborted: there is nothing to clean up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.libp2p.channel import Channel, TransportChannel
from nodetrust.libp2p.errors import NegotiationError
from nodetrust.libp2p.multistream.machine import Dialer, Listener, ProtocolSelected


async def select_outbound(channel: Channel, protocol_ids: Sequence[str], clock: IReactorTime, timeout: float) -> str:
    """Propose `protocol_ids` in order; return the one that the listener accepts.

    Raise NegotiationError when it accepts none, breaks the protocol, goes away, or takes over `timeout` seconds.
    """
    return await _select(channel, Dialer(protocol_ids), clock, timeout)


async def select_inbound(
    channel: Channel, offered: Collection[str] | Callable[[str], bool], clock: IReactorTime, timeout: float
) -> str:
    """Return the first protocol among the dialer's proposals that is in `offered` (or for which it is true).

    Raise NegotiationError as `select_outbound` does.
    """
    return await _select(channel, Listener(offered), clock, timeout)


def select_lazily(channel: Channel, protocol_id: str) -> LazyChannel:
    """Take `protocol_id` as accepted: return a channel on which the application may write at once.

    The proposal goes out in one write with the application's first bytes, and the listener's answers never reach the
    application. If the listener refuses, the application's `connectionLost` gets a NegotiationError and the stream is
    reset. Saves one round trip where the remote side is known to speak the protocol.
    """
    lazy = LazyChannel(protocol_id)
    channel.attach(lazy)
    return lazy


async def _select(channel: Channel, machine: Dialer | Listener, clock: IReactorTime, timeout: float) -> str:
    negotiation = _Negotiation(channel, machine)
    negotiation.selected.addTimeout(timeout, clock, lambda _, seconds: _timed_out(seconds))
    channel.attach(negotiation)
    return await negotiation.selected


def _timed_out(seconds: float) -> Failure:
    return Failure(NegotiationError(f"no protocol agreed on within {seconds:g} seconds"))


@implementer(IHalfCloseableProtocol)
class _Negotiation(Protocol):
    """Sits on the channel until its machine has decided."""

    def __init__(self, channel: Channel, machine: Dialer | Listener) -> None:
        self.selected: Deferred[str] = Deferred(self._cancelled)
        self._channel = channel
        self._machine = machine

    def connectionMade(self) -> None:
        self._flush()

    def dataReceived(self, data: bytes) -> None:
        try:
            events = self._machine.receive_data(data)
        except NegotiationError as error:
            self._leave()
            self.selected.errback(error)
            return
        self._flush()
        for event in events:
            if isinstance(event, ProtocolSelected):
                self._channel.detach(event.unread)
                self.selected.callback(event.protocol_id)

    def readConnectionLost(self) -> None:
        """The remote side says no more, so there will be no agreement: one that came in time has detached us."""
        self._leave()
        self.selected.errback(NegotiationError("the remote side ended the stream before a protocol was agreed on"))

    def writeConnectionLost(self) -> None:
        """We never half-close."""

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted gives it a default
        self.selected.errback(NegotiationError(f"lost before a protocol was agreed on: {reason.getErrorMessage()}"))

    def _flush(self) -> None:
        data = self._machine.data_to_send()
        if data:
            self._channel.write(data)

    def _leave(self) -> None:
        self._channel.detach()
        self._channel.abortConnection()

    def _cancelled(self, _: Deferred[str]) -> None:
        self._leave()


class LazyChannel(TransportChannel):
    """The channel that `select_lazily` returns: it lies on the one that it negotiates for."""

    def __init__(self, protocol_id: str) -> None:
        super().__init__()
        self.protocol_id = protocol_id
        self._dialer: Dialer | None = Dialer([protocol_id])
        self._proposal = self._dialer.data_to_send()

    def attach(self, protocol: IProtocol) -> None:
        """Send the proposal by itself if the protocol did not write at once: it may wait for the other side."""
        super().attach(protocol)
        self._propose()

    def dataReceived(self, data: bytes) -> None:
        if self._dialer is None:
            self.deliver(data)
            return
        try:
            events = self._dialer.receive_data(data)
        except NegotiationError as error:
            self._refused(error)
            return
        for event in events:
            if isinstance(event, ProtocolSelected):
                self._dialer = None
                if event.unread:
                    self.deliver(event.unread)

    def readConnectionLost(self) -> None:
        if self._dialer is None:
            self.deliver_end()
        else:
            self._refused(NegotiationError(f"the stream ended before {self.protocol_id!r} was accepted"))

    def write(self, data: bytes) -> None:
        proposal, self._proposal = self._proposal, b""
        self.transport.write(proposal + data if proposal else data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self._propose()
        self.transport.writeSequence(data)

    def loseConnection(self) -> None:
        self._propose()
        super().loseConnection()

    def loseWriteConnection(self) -> None:
        self._propose()
        super().loseWriteConnection()

    def _propose(self) -> None:
        if self._proposal:
            self.write(b"")

    def _refused(self, error: NegotiationError) -> None:
        self._proposal = b""
        self.abortConnection()
        self.deliver_lost(Failure(error))
