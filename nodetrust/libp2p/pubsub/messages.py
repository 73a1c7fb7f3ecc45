"""What applications see of a message, and what they say of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub.machine import Verdict
from nodetrust.libp2p.pubsub.wire import Message


@dataclass(frozen=True, slots=True)
class PubSubMessage:
    """A message that its author `source` has signed and that `received_from` has passed on to us."""

    topic: str
    data: bytes
    source: PeerId
    seqno: int
    received_from: PeerId

    @classmethod
    def from_wire(cls, message: Message, author: PeerId, received_from: PeerId) -> PubSubMessage:
        """The application's view of a message that has been checked."""
        seqno = int.from_bytes(message.seqno or b"", "big")
        return cls(message.topic or "", message.data or b"", author, seqno, received_from)


Subscriber: TypeAlias = Callable[[PubSubMessage], None]
Validator: TypeAlias = Callable[[PubSubMessage], Verdict]
"""Decides at once, and must not call the `PubSub` that asks it."""
