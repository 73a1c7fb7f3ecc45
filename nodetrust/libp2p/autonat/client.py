"""`AutoNat`: asks connected peers to dial us, and hears who comes back."""

from __future__ import annotations

from enum import Enum
from random import Random

from twisted.internet.interfaces import IReactorTime

from nodetrust.libp2p.autonat.wire import (
    DIAL_BACK,
    DIAL_REQUEST,
    MAX_DIAL_BACK_BYTES,
    MAX_MESSAGE_BYTES,
    DataWanted,
    Dialled,
    data,
    dial_back_taken,
    dial_request,
    from_server,
    read_nonce,
)
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import InvalidData
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr

ANSWER_SECONDS = 30.0
"""For a server's answer; go-libp2p dials for 15 seconds at most."""

_NONCE_BITS = 64


class Reached(Enum):
    """What a peer has found of an address."""

    YES = "yes"
    MET = "met"
    """The peer says that it has met us, but it has not come back here: it may have met another process of ours."""
    NO = "no"
    UNKNOWN = "unknown"


class AutoNat:
    """The asking side. `random` makes the nonces, by which we know that it is our question that is answered."""

    def __init__(self, host: Host, clock: IReactorTime, random: Random) -> None:
        self._host = host
        self._clock = clock
        self._random = random
        self._open: set[int] = set()
        self._met: set[int] = set()

    def start(self) -> None:
        """Listen for those who come back."""
        self._host.handle_messages(DIAL_BACK, self._dialled_back, MAX_DIAL_BACK_BYTES, ANSWER_SECONDS)

    def servers(self) -> list[Connection]:
        """Connections to peers that would dial us, one to each; we have made them, for others may come to lie."""
        found = {
            one.remote_peer: one
            for one in self._host.connections()
            if one.outbound and one.remote_identify is not None and DIAL_REQUEST in one.remote_identify.protocols
        }
        return list(found.values())

    async def ask(self, connection: Connection, address: Multiaddr) -> Reached:
        """Whether the peer reaches us at the address; a yes is one that has come back. Raises `Libp2pError`."""
        nonce = self._random.getrandbits(_NONCE_BITS)
        self._open.add(nonce)
        try:
            dialled = await self._exchange(connection, dial_request(address.without_peer_id(), nonce))
            if dialled.reached is None:
                return Reached.UNKNOWN
            if not dialled.reached:
                return Reached.NO
            return Reached.YES if nonce in self._met else Reached.MET
        finally:
            self._open.discard(nonce)
            self._met.discard(nonce)

    async def _exchange(self, connection: Connection, request: bytes) -> Dialled:
        below = await connection.open_stream([DIAL_REQUEST])
        stream = MessageStream(MAX_MESSAGE_BYTES, self._clock, ANSWER_SECONDS)
        below.attach(stream)
        try:
            stream.write(request)
            said = from_server(await stream.read())
            if isinstance(said, DataWanted):
                for message in data(said.bytes):
                    stream.write(message)
                said = from_server(await stream.read())
            if isinstance(said, DataWanted):
                raise InvalidData("a server that wants data twice")
            return said
        finally:
            stream.close()

    async def _dialled_back(self, stream: MessageStream) -> None:
        nonce = read_nonce(await stream.read())
        if nonce not in self._open:
            raise InvalidData("a dial-back that nobody has asked for")
        self._met.add(nonce)
        stream.write(dial_back_taken())
