"""The issue server on a libp2p host."""

from __future__ import annotations

import os
from typing import Any

from twisted.logger import Logger

from nodetrust.discovery import relay, start_pubsub
from nodetrust.errors import NodetrustError
from nodetrust.issue.decide import Policy, decide
from nodetrust.issue.dns01 import DnsServers
from nodetrust.issue.errors import Refusal
from nodetrust.issue.nonces import NONCE_BYTES, NonceBook
from nodetrust.issue.orders import Orders
from nodetrust.issue.settings import IssueSettings
from nodetrust.libp2p.framing import MessageStream
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import PubSub
from nodetrust.messages import (
    E_OTHER,
    ISSUE_INFO_PROTOCOL,
    ISSUE_PROTOCOL,
    MAX_ISSUE_REQUEST_BYTES,
    InvalidMessage,
    IssueInfo,
    IssueRequest,
    IssueResponse,
    ProofServer,
    parse,
)
from nodetrust.service import RoleService, listen_all, open_host

REQUEST_SECONDS = 30.0
"""How long a peer may take to send its request."""


class IssueService(RoleService):
    """Checks proofs, and gets certificates for those who have them."""

    log = Logger()

    def __init__(self, reactor: Any, settings: IssueSettings) -> None:
        super().__init__(reactor)
        self.setName("nodetrust-issue")
        self.settings = settings
        self.host: Host | None = None
        self.orders: Orders | None = None
        self._pubsub: PubSub | None = None
        self._nonces = NonceBook()

    async def start(self) -> None:
        """Open the store, listen, and serve; the CA is first spoken to when a certificate is asked for."""
        settings = self.settings
        self.host = host = open_host(self.reactor, settings)
        self.orders = await Orders.open(self.reactor, settings, DnsServers(host, settings.dns_servers))
        host.handle_messages(ISSUE_INFO_PROTOCOL, self._inform, MAX_ISSUE_REQUEST_BYTES, REQUEST_SECONDS)
        host.handle_messages(ISSUE_PROTOCOL, self._issue, MAX_ISSUE_REQUEST_BYTES, REQUEST_SECONDS)
        self._pubsub = start_pubsub(host, self.reactor)
        relay(self._pubsub)
        await listen_all(host, settings, self.log, "nodetrust-issue")

    async def stop(self) -> None:
        """Close connections and listeners, then the store."""
        if self._pubsub is not None:
            self._pubsub.stop()
        if self.host is not None:
            await self.host.stop()
        if self.orders is not None:
            await self.orders.close()

    async def _inform(self, stream: MessageStream) -> None:
        peer = stream.connection.remote_peer
        nonce = os.urandom(NONCE_BYTES)
        self._nonces.give(peer, nonce, self.reactor.seconds())
        info = IssueInfo(
            domain=self.settings.zone,
            proofs=proof_servers(self.settings.proof_servers),
            cryptos=self.settings.crypto_numbers,  # type: ignore[arg-type]  # an int is an enum here
            nonce=nonce,
        )
        stream.write(info.SerializeToString())

    async def _issue(self, stream: MessageStream) -> None:
        peer = stream.connection.remote_peer
        try:
            response = await self._respond(peer, await stream.read())
        except Refusal as refusal:
            self.log.info("refused {peer}: {reason}", peer=str(peer), reason=str(refusal), code=refusal.code)
            response = refusal.to_response()
        stream.write(response.SerializeToString())

    async def _respond(self, peer: PeerId, message: bytes) -> IssueResponse:
        host, orders = self.host, self.orders
        if host is None or orders is None:
            raise Refusal(E_OTHER, "the server is starting")
        try:
            request = parse(IssueRequest, message)
        except InvalidMessage as error:
            raise Refusal(E_OTHER, str(error)) from None
        now = self.reactor.seconds()
        order, used = decide(request, peer, self._nonces.open_for(peer, now), int(now * 1000), self._policy(host))
        self._nonces.use(used)
        try:
            return await orders.fulfil(order)
        except Refusal:
            raise
        except NodetrustError as error:
            raise Refusal(E_OTHER, str(error)) from error

    def _policy(self, host: Host) -> Policy:
        settings = self.settings
        return Policy(
            zone=settings.zone,
            issuer=host.peer_id,
            proof_keys=settings.proof_keys,
            cryptos=settings.crypto_numbers,
            names=settings.names,
            allow_private=settings.allow_private,
            require_nonce=settings.require_nonce,
        )


def proof_servers(addresses: tuple[Multiaddr, ...]) -> list[ProofServer]:
    """The addresses, each with /p2p, as the issue info lists them: one entry a server."""
    servers: dict[PeerId, list[bytes]] = {}
    for address in addresses:
        if address.peer_id is not None:
            servers.setdefault(address.peer_id, []).append(bytes(address.without_peer_id()))
    return [ProofServer(id=peer.multihash, addrs=addrs, display=str(peer)) for peer, addrs in servers.items()]
