"""The protocols `/p2p/nodetrust/issue/info/1.0.0` and `/p2p/nodetrust/issue/1.0.0`: one answer to each stream."""

from __future__ import annotations

import os
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from nodetrust.errors import NodetrustError
from nodetrust.issue.decide import Order, Policy, decide
from nodetrust.issue.errors import Refusal, Unavailable
from nodetrust.issue.nonces import NONCE_BYTES, NonceBook
from nodetrust.libp2p.errors import InvalidData
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import E_OTHER, InvalidMessage, IssueInfo, IssueRequest, IssueResponse, ProofServer, parse


class Fulfils(Protocol):
    """Turns orders into certificates."""

    async def fulfil(self, order: Order) -> IssueResponse:
        """The response with the certificate; raises `Refusal`."""


class IssueProtocol:
    """Answers peers by the rules of `policy`; whatever goes wrong is told to the peer with its error number."""

    log = Logger()

    def __init__(
        self, clock: IReactorTime, policy: Policy, proof_servers: tuple[Multiaddr, ...], orders: Fulfils
    ) -> None:
        self._clock = clock
        self._policy = policy
        self._proof_servers = list_proof_servers(proof_servers)
        self._orders = orders
        self._nonces = NonceBook()

    async def inform(self, stream: MessageStream) -> None:
        """Send the `IssueInfo`, with a nonce for this peer; the peer sends nothing."""
        nonce = os.urandom(NONCE_BYTES)
        self._nonces.give(stream.connection.remote_peer, nonce, self._clock.seconds())
        info = IssueInfo(
            domain=self._policy.zone,
            proofs=self._proof_servers,
            cryptos=self._policy.cryptos,  # type: ignore[arg-type]  # an int is an enum here
            nonce=nonce,
        )
        stream.write(info.SerializeToString())

    async def issue(self, stream: MessageStream) -> None:
        """Read an `IssueRequest`, and send the `IssueResponse` when there is a certificate, or a reason why not."""
        peer = stream.connection.remote_peer
        try:
            response = await self.respond(peer, await _read_request(stream))
        except Unavailable as failure:
            self.log.error("no certificate for {peer}: {reason}", peer=str(peer), reason=str(failure))
            response = failure.to_response()
        except Refusal as refusal:
            self.log.debug("refused {peer}: {reason}", peer=str(peer), reason=str(refusal), code=refusal.code)
            response = refusal.to_response()
        stream.write(response.SerializeToString())

    async def respond(self, peer: PeerId, request: IssueRequest) -> IssueResponse:
        """The response with the certificate; raises `Refusal`.

        A nonce is used up when its request has been answered: until then the same request may come again, and gets the
        same answer.
        """
        now = self._clock.seconds()
        order, used = decide(request, peer, self._nonces.open_for(peer, now), int(now * 1000), self._policy)
        try:
            return await self._orders.fulfil(order)
        except Refusal:
            raise
        except NodetrustError as error:
            raise Unavailable(str(error)) from error
        finally:
            self._nonces.use(used)


async def _read_request(stream: MessageStream) -> IssueRequest:
    try:
        return parse(IssueRequest, await stream.read())
    except (InvalidData, InvalidMessage) as error:
        raise Refusal(E_OTHER, f"the request cannot be read: {error}") from None


def list_proof_servers(addresses: tuple[Multiaddr, ...]) -> list[ProofServer]:
    """The addresses, each with /p2p, as the issue info lists them: one entry a server."""
    servers: dict[PeerId, list[bytes]] = {}
    for address in addresses:
        if address.peer_id is not None:
            servers.setdefault(address.peer_id, []).append(bytes(address.without_peer_id()))
    return [ProofServer(id=peer.multihash, addrs=addrs, display=str(peer)) for peer, addrs in servers.items()]
