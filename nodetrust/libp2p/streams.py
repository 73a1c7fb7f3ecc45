"""What a protocol factory is told about the stream that it is asked to build a protocol for."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.interfaces import IAddress
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
