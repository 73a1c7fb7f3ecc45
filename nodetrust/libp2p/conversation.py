"""Run a machine on a channel until it has come to an outcome, then leave the channel to whoever comes next."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.errors import Libp2pError


class Outcome(Protocol):
    """What a conversation led to."""

    @property
    def unread(self) -> bytes:
        """What arrived behind the conversation's last byte: the next protocol's."""


OutcomeT = TypeVar("OutcomeT", bound=Outcome)
OutcomeT_co = TypeVar("OutcomeT_co", bound=Outcome, covariant=True)


class Machine(Protocol[OutcomeT_co]):
    """One side of a conversation."""

    def data_to_send(self) -> bytes:
        """Take what is to be written now; empty when there is nothing."""

    def receive_data(self, data: bytes) -> object:
        """Raise Libp2pError when the remote side breaks the rules."""

    @property
    def outcome(self) -> OutcomeT_co | None:
        """None until the conversation is over."""


def converse(
    channel: Channel, machine: Machine[OutcomeT], error: type[Libp2pError], purpose: str
) -> Deferred[OutcomeT]:
    """Write and feed until `machine` has its outcome; the channel is then detached, with the unread bytes put back.

    The errback gets what the machine raises, or an `error` that says "the connection ended before `purpose`". In
    both cases, and when the Deferred is cancelled, the channel has been aborted and nothing is left behind.
    """
    conversation = _Conversation(channel, machine, error, purpose)
    channel.attach(conversation)
    return conversation.over


@implementer(IHalfCloseableProtocol)
class _Conversation(TwistedProtocol, Generic[OutcomeT]):
    def __init__(self, channel: Channel, machine: Machine[OutcomeT], error: type[Libp2pError], purpose: str) -> None:
        self.over: Deferred[OutcomeT] = Deferred(lambda _: self._leave())
        self._channel = channel
        self._machine = machine
        self._error = error
        self._purpose = purpose

    def connectionMade(self) -> None:
        self._flush()

    def dataReceived(self, data: bytes) -> None:
        try:
            self._machine.receive_data(data)
        except Libp2pError as error:
            self._leave()
            self.over.errback(error)
            return
        self._flush()
        outcome = self._machine.outcome
        if outcome is not None:
            self._channel.detach(outcome.unread)
            self.over.callback(outcome)

    def readConnectionLost(self) -> None:
        """The remote side says no more, so the conversation can't end well: one that has is no longer attached."""
        self._leave()
        self.over.errback(self._error(f"the remote side stopped talking before {self._purpose}"))

    def writeConnectionLost(self) -> None:
        """We never half-close."""

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]  # Twisted gives it a default
        self.over.errback(self._error(f"the connection ended before {self._purpose}: {reason.getErrorMessage()}"))

    def _flush(self) -> None:
        data = self._machine.data_to_send()
        if data:
            self._channel.write(data)

    def _leave(self) -> None:
        self._channel.detach()
        self._channel.abortConnection()
