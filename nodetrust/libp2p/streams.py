"""Who speaks a protocol, and what they are told about the stream on which they are to speak it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from twisted.internet.interfaces import IAddress, IProtocol
from zope.interface import implementer

from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.peer_id import PeerId


@implementer(IAddress)
@dataclass(frozen=True, slots=True)
class StreamAddress:
    """The authenticated peer at the other end, the connection it came by, and the protocol that was agreed on."""

    peer: PeerId
    connection: Connection
    protocol_id: str


class StreamFactory(Protocol):
    """Whatever builds protocols for streams; Twisted's factories do."""

    def buildProtocol(self, addr: StreamAddress, /) -> IProtocol | None:
        """The protocol to attach to a new stream; None refuses (resets) it."""
