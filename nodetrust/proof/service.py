"""The proof server on a libp2p host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from nodetrust.discovery import relay, start_pubsub
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import PubSub
from nodetrust.lists.build import ListsInForce
from nodetrust.lists.lists import Lists
from nodetrust.messages import MAX_PROOF_REQUEST_BYTES, PROOF_PROTOCOL, PROOF_PROTOCOL_NONCE, ProofRequest
from nodetrust.names import IPAddress
from nodetrust.proof.decide import Caller, Rules, answer, read_request, refusal
from nodetrust.proof.keys import SigningKeys
from nodetrust.proof.settings import ProofSettings
from nodetrust.reachability.decide import Rules as CheckRules
from nodetrust.reachability.protocol import CheckProtocol
from nodetrust.service import RoleService, dial_options, listen_all, open_host

REQUEST_SECONDS = 10.0
"""How long a peer may take to send its request: as go-libp2p's negotiation of a stream."""


class ProofProtocol:
    """One signed answer to each stream."""

    def __init__(self, clock: IReactorTime, signer: Callable[[], PrivateKey], rules: Rules) -> None:
        self._clock = clock
        self._signer = signer
        self.rules = rules

    async def prove(self, stream: MessageStream) -> None:
        """Protocol 1.0.0: the peer sends nothing."""
        self._answer(stream, ProofRequest())

    async def prove_request(self, stream: MessageStream) -> None:
        """Protocol 1.1.0: the peer sends one request."""
        message = await stream.read()
        try:
            self._answer(stream, read_request(message))
        except (NodetrustError, Libp2pError) as error:
            stream.write(refusal(error).SerializeToString())

    def _answer(self, stream: MessageStream, request: ProofRequest) -> None:
        connection = stream.connection
        response = answer(
            self._signer(),
            Caller(connection.remote_peer, connection.remote_address),
            int(self._clock.seconds() * 1000),
            request,
            self.rules,
        )
        stream.write(response.SerializeToString())


class ProofService(RoleService):
    """Signs, for every peer that asks, the address that its connection comes from."""

    name = "nodetrust-proof"
    log = Logger()

    def __init__(self, reactor: Any, settings: ProofSettings) -> None:
        super().__init__(reactor)
        self.settings = settings
        self.host: Host | None = None
        self.pubsub: PubSub | None = None
        self._keys: SigningKeys | None = None
        self._lists: ListsInForce | None = None
        self._protocol: ProofProtocol | None = None
        self._checks: CheckProtocol | None = None

    async def start(self) -> None:
        """Read keys and lists, listen, serve both versions of the protocol and the check, relay announcements."""
        settings = self.settings
        options = dial_options(self.reactor, None, settings.trust_file)
        self.host = host = open_host(self.reactor, settings, **options)
        self._keys = keys = SigningKeys(self.reactor, settings.state, host.key)
        keys.start()
        self._lists = lists = ListsInForce(self.reactor, settings, self._replace_lists)
        lists.start()
        rules = Rules(settings.allow_private, lists.lists)
        self._protocol = protocol = ProofProtocol(self.reactor, keys.current, rules)
        host.handle_messages(PROOF_PROTOCOL, protocol.prove, MAX_PROOF_REQUEST_BYTES, REQUEST_SECONDS)
        host.handle_messages(PROOF_PROTOCOL_NONCE, protocol.prove_request, MAX_PROOF_REQUEST_BYTES, REQUEST_SECONDS)
        if settings.checks:
            check_rules = CheckRules(zone=None, allow_private=settings.allow_private)
            self._checks = CheckProtocol(self.reactor, check_rules, self._denied, options.get("trust_root"))
            self._checks.serve(host)
        self.pubsub = start_pubsub(host, self.reactor)
        relay(self.pubsub)
        await listen_all(host, settings, self.log, "nodetrust-proof")

    def _replace_lists(self, lists: Lists) -> None:
        if self._protocol is not None:
            self._protocol.rules = Rules(self.settings.allow_private, lists)

    def _denied(self, peer: PeerId, ip: IPAddress) -> bool:
        return self._lists is not None and self._lists.lists.deny_peer(peer, (ip,))

    async def stop(self) -> None:
        """Close every connection and listener."""
        for watched in (self._keys, self._lists):
            if watched is not None:
                watched.stop()
        if self.pubsub is not None:
            self.pubsub.stop()
        if self.host is not None:
            await self.host.stop()
        if self._checks is not None:
            await self._checks.stop()
