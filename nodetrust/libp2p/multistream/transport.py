"""multistream-select on a channel: agree on a protocol, then leave the channel to it.

When `select_outbound` or `select_inbound` returns, the channel is detached and holds whatever came behind the
negotiation. When one of them raises (or is cancelled), the channel has been aborted: there is nothing to clean up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.python.failure import Failure

from nodetrust.libp2p.channel import Channel, TransportChannel
from nodetrust.libp2p.conversation import converse
from nodetrust.libp2p.errors import NegotiationError
from nodetrust.libp2p.multistream.machine import Dialer, Listener


async def select_outbound(
    channel: Channel, protocol_ids: Sequence[str], clock: IReactorTime, timeout: float | None
) -> str:
    """Propose `protocol_ids` in order; return the one that the listener accepts.

    Raise NegotiationError when it accepts none, breaks the protocol, goes away, or takes over `timeout` seconds; None
    is for a caller who has a deadline of its own.
    """
    return await _select(channel, Dialer(protocol_ids), clock, timeout)


async def select_inbound(
    channel: Channel, offered: Collection[str] | Callable[[str], bool], clock: IReactorTime, timeout: float | None
) -> str:
    """Return the first protocol among the dialer's proposals that is in `offered` (or for which it is true).

    Raise NegotiationError as `select_outbound` does.
    """
    return await _select(channel, Listener(offered), clock, timeout)


async def _select(channel: Channel, machine: Dialer | Listener, clock: IReactorTime, timeout: float | None) -> str:
    selected = converse(channel, machine, NegotiationError, "a protocol was agreed on")
    if timeout is not None:
        selected.addTimeout(timeout, clock, lambda _, seconds: _timed_out(seconds))
    return (await selected).protocol_id


def _timed_out(seconds: float) -> Failure:
    return Failure(NegotiationError(f"no protocol agreed on within {seconds:g} seconds"))


class LazyChannel(TransportChannel):
    """Takes `protocol_id` as accepted: attached to a channel, it is a channel on which one may write at once.

    The proposal goes out in one write with the application's first bytes, and the listener's answers never reach the
    application. If the listener refuses, the application's `connectionLost` gets a NegotiationError and the stream is
    reset. Saves one round trip where the remote side is known to speak the protocol.
    """

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
            self._dialer.receive_data(data)
        except NegotiationError as error:
            self._refused(error)
            return
        selected = self._dialer.outcome
        if selected is not None:
            self._dialer = None
            if selected.unread:
                self.deliver(selected.unread)

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
