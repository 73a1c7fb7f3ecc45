"""The two sides of multistream-select as machines: bytes in, events out, answers in an outgoing buffer.

`receive_data` raises NegotiationError when the remote side breaks the protocol; the machine is of no use after that.
Bytes that follow the accepted proposal belong to the protocol that was agreed on: they are in the event, unread. The
machine's `outcome` is that same event; None before it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from nodetrust.libp2p.errors import NegotiationError
from nodetrust.libp2p.multistream.wire import HEADER, NOT_AVAILABLE, encode_message, take_message

MAX_MESSAGES = 64
"""What a listener reads before it gives up on a dialer that finds nothing it likes. Ours; a go or js node has fewer."""

MAX_QUOTED = 80
"""Characters of the remote side's words that an error repeats."""


@dataclass(frozen=True, slots=True)
class ProtocolSelected:
    """The end of a negotiation that succeeded."""

    protocol_id: str
    unread: bytes


@dataclass(frozen=True, slots=True)
class ProtocolRefused:
    """The listener answered `na` to this proposal. The dialer goes on to its next one, if it has one."""

    protocol_id: str


Event = ProtocolSelected | ProtocolRefused


class Dialer:
    """Proposes protocols one after the other, in the order of preference.

    The header and the first proposal wait in the outgoing buffer from the beginning: the dialer writes first, since a
    listener may say nothing until it has read something. When the last proposal is refused, `receive_data` raises
    NegotiationError.
    """

    def __init__(self, protocol_ids: Sequence[str]) -> None:
        self._proposals = list(protocol_ids)
        self._incoming = bytearray()
        self._outgoing = bytearray(encode_message(HEADER) + encode_message(self._proposals[0]))
        self._seen_header = False
        self.outcome: ProtocolSelected | None = None

    def data_to_send(self) -> bytes:
        """Take what is to be written now; empty when there is nothing."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def receive_data(self, data: bytes) -> list[Event]:
        self._incoming += data
        events: list[Event] = []
        while (message := take_message(self._incoming)) is not None:
            if not self._seen_header:
                _check_header(message)
                self._seen_header = True
                continue
            events.append(self._answered(message))
            if self.outcome is not None:
                break
        return events

    def _answered(self, answer: str) -> Event:
        proposal = self._proposals.pop(0)
        if answer == proposal:
            self.outcome = ProtocolSelected(proposal, bytes(self._incoming))
            return self.outcome
        if answer != NOT_AVAILABLE:
            raise NegotiationError(f"proposed {proposal!r} and was answered {answer[:MAX_QUOTED]!r}")
        if not self._proposals:
            raise NegotiationError(f"the remote side speaks none of what was proposed, the last being {proposal!r}")
        self._outgoing += encode_message(self._proposals[0])
        return ProtocolRefused(proposal)


class Listener:
    """Answers proposals until one is in `offered`: a collection of protocol IDs, or a predicate on one.

    The header goes out with the first answer. As js does, it takes headers that come again and, after any bytes that
    make a message, a proposal without a header before it. `ls` is a proposal like any other, so it is refused, as go
    does.
    """

    def __init__(self, offered: Collection[str] | Callable[[str], bool]) -> None:
        self._speaks = offered if callable(offered) else offered.__contains__
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._sent_header = False
        self._messages = 0
        self.outcome: ProtocolSelected | None = None

    def data_to_send(self) -> bytes:
        """Take what is to be written now; empty when there is nothing."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def receive_data(self, data: bytes) -> list[Event]:
        self._incoming += data
        events: list[Event] = []
        while (message := take_message(self._incoming)) is not None:
            self._count()
            if not self._sent_header:
                self._outgoing += encode_message(HEADER)
                self._sent_header = True
            if message == HEADER:
                continue
            events.append(self._answer(message))
            if self.outcome is not None:
                break
        return events

    def _count(self) -> None:
        self._messages += 1
        if self._messages > MAX_MESSAGES:
            raise NegotiationError(f"no agreement within {MAX_MESSAGES} messages")

    def _answer(self, proposal: str) -> Event:
        if self._speaks(proposal):
            self._outgoing += encode_message(proposal)
            self.outcome = ProtocolSelected(proposal, bytes(self._incoming))
            return self.outcome
        self._outgoing += encode_message(NOT_AVAILABLE)
        return ProtocolRefused(proposal)


def _check_header(message: str) -> None:
    if message != HEADER:
        raise NegotiationError(f"expected {HEADER!r} and got {message[:MAX_QUOTED]!r}")
