"""The protocols `/p2p/nodetrust/issue/info/1.0.0` and `/p2p/nodetrust/issue/1.0.0`: one answer to each stream."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.addresses import direct_ip
from nodetrust.errors import NodetrustError
from nodetrust.issue.decide import Order, Policy, decide
from nodetrust.issue.errors import Refusal, Unavailable
from nodetrust.issue.evidence.nonces import NonceBook
from nodetrust.issue.evidence.trust import SkewReports, Trust
from nodetrust.issue.evidence.weigh import Evidence, Visit
from nodetrust.issue.renewal import planned
from nodetrust.issue.sharing import Sharing
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import InvalidData
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.requests import is_gone
from nodetrust.messages import (
    E_INVALID_PROOF,
    E_OTHER,
    CertificateAuthority,
    InvalidMessage,
    IssueInfo,
    IssueRequest,
    IssueResponse,
    ProofServer,
    parse,
)
from nodetrust.store import StoredCertificate

RENEW_AT_SECONDS = 2.0
"""For the store's answer; the rest of the issue info does without it."""

USED = "a proof was used before: ask the proof servers for new ones"


class Fulfils(Protocol):
    """Turns orders into certificates."""

    async def fulfil(self, order: Order) -> IssueResponse:
        """The response with the certificate; raises `Refusal`."""

    def signers(self) -> list[CertificateAuthority]:
        """The CAs that it orders from, best first."""


class Remembers(Protocol):
    """Knows which proofs were used and who has which certificate, for all servers that share it. The store is one."""

    async def use_proofs(self, digests: Collection[bytes], until: datetime, now: datetime) -> frozenset[bytes]:
        """Those that were used before; the others are now."""

    async def unuse_proofs(self, digests: Collection[bytes]) -> None:
        """These may be used again."""

    async def newest_of_peer(self, peer_id: bytes) -> StoredCertificate | None:
        """The certificate of the peer (its multihash) that ends last."""


class IssueProtocol:
    """Answers peers by the rules of `policy`; whatever goes wrong is told to the peer with its error number.

    A proof is used up by the first request that is right; the same request, octet for octet, may come again until it is
    answered, and gets the same answer.
    """

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        policy: Policy,
        proof_servers: tuple[Multiaddr, ...],
        orders: Fulfils,
        store: Remembers,
    ) -> None:
        self._clock = clock
        self._policy = policy
        self._places = proof_servers
        self._orders = orders
        self._store = store
        self._nonces = NonceBook()
        self._answers: Sharing[IssueResponse] = Sharing()
        self._skews = SkewReports()
        self.replace_trust(policy.trust)

    def replace_trust(self, trust: Trust) -> None:
        """Go by other keys and lists from now on."""
        self._policy = replace(self._policy, trust=trust)
        self._proof_servers = list_proof_servers(self._places, trust)

    async def inform(self, stream: MessageStream) -> None:
        """Send the `IssueInfo`, with a nonce for this peer; the peer sends nothing."""
        peer = stream.connection.remote_peer
        info = IssueInfo(
            domain=self._policy.zone,
            proofs=self._proof_servers,
            cryptos=self._policy.cryptos,  # type: ignore[arg-type]  # an int is an enum here
            nonce=self._nonces.give(peer, self._clock.seconds()),
            quorum=self._policy.trust.quorum,
            authorities=self._orders.signers(),
        )
        renew_at = await self._renew_at(peer)
        if renew_at is not None:
            info.renewAt = int(renew_at.timestamp() * 1000)
        stream.write(info.SerializeToString())

    async def _renew_at(self, peer: PeerId) -> datetime | None:
        """When the peer is to renew its newest certificate; None if that has ended, or the store says nothing now."""
        reading = Deferred.fromCoroutine(self._store.newest_of_peer(peer.multihash))
        try:
            newest = await reading.addTimeout(RENEW_AT_SECONDS, self._clock)
        except (NodetrustError, TimeoutError) as error:
            self.log.debug("{peer} is not told when to renew: {reason}", peer=str(peer), reason=str(error))
            return None
        if newest is None or newest.not_after.timestamp() <= self._clock.seconds():
            return None
        return planned(newest)

    async def issue(self, stream: MessageStream) -> None:
        """Read an `IssueRequest`, and send the `IssueResponse` when there is a certificate, or a reason why not."""
        peer = stream.connection.remote_peer
        try:
            response = await self._answer(stream)
        except CancelledError:
            return  # the peer is gone
        except Unavailable as failure:
            self.log.error("no certificate for {peer}: {reason}", peer=str(peer), reason=str(failure))
            response = failure.to_response()
        except Refusal as refusal:
            self.log.debug("refused {peer}: {reason}", peer=str(peer), reason=str(refusal), code=refusal.code)
            response = refusal.to_response()
        stream.write(response.SerializeToString())

    async def _answer(self, stream: MessageStream) -> IssueResponse:
        try:
            message = await stream.read()
        except InvalidData as error:
            raise Refusal(E_OTHER, f"the request cannot be read: {error}") from None
        connection = stream.connection
        same = (connection.remote_peer, hashlib.sha256(message).digest())
        answer = self._answers.get(same, lambda: self._respond(connection, message))
        watching = Deferred.fromCoroutine(is_gone(stream))
        watching.addCallback(lambda gone: answer.cancel() if gone else None)
        try:
            return await answer
        finally:
            watching.cancel()

    async def _respond(self, connection: Connection, message: bytes) -> IssueResponse:
        peer, now = connection.remote_peer, self._clock.seconds()
        visit = Visit(peer, self._nonces.open_for(peer, now), int(now * 1000), direct_ip(connection.remote_address))
        decision = decide(_read_request(message), visit, self._policy)
        self._nonces.use(decision.evidence.nonces, now)
        self._report_skews(decision.evidence, now)
        try:
            await self._use_proofs(decision.evidence, now)
            return await self._fulfil(decision.order, decision.evidence)
        except Refusal:
            raise
        except NodetrustError as error:
            raise Unavailable(str(error)) from error

    async def _use_proofs(self, evidence: Evidence, now: float) -> None:
        """Note that proofs without a nonce are used. Raises `Refusal` if one was, or the store's error."""
        if not evidence.digests:
            return
        until = datetime.fromtimestamp(evidence.good_until_ms / 1000, UTC)
        if used := await self._store.use_proofs(evidence.digests, until, datetime.fromtimestamp(now, UTC)):
            await self._unuse(evidence.digests - used)
            raise Refusal(E_INVALID_PROOF, USED)

    async def _fulfil(self, order: Order, evidence: Evidence) -> IssueResponse:
        """The certificate; where there is none, a client of 2018 may come again with the same proofs."""
        try:
            return await self._orders.fulfil(order)
        except (NodetrustError, CancelledError):
            # Not waited for: the peer is to be answered also while the server stops, or the store does not answer.
            Deferred.fromCoroutine(self._unuse(evidence.digests)).addErrback(self._log_bug)
            raise

    def _log_bug(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("freeing proofs has failed, which is a bug", failure=failure)

    async def _unuse(self, digests: Collection[bytes]) -> None:
        if not digests:
            return
        try:
            await self._store.unuse_proofs(digests)
        except NodetrustError as error:
            self.log.error("proofs could not be freed: {reason}", reason=str(error))

    def _report_skews(self, evidence: Evidence, now: float) -> None:
        for server, ahead_ms in evidence.ahead_ms.items():
            if self._skews.is_news(server, ahead_ms, now):
                self.log.warn(
                    "a proof of {server} is dated {seconds:.1f} seconds {side} the clock here: one of the two clocks "
                    "is wrong{slow}",
                    server=str(server),
                    seconds=abs(ahead_ms) / 1000,
                    side="ahead of" if ahead_ms > 0 else "behind",
                    slow=", or a peer was slow to bring it" if ahead_ms < 0 and evidence.digests else "",
                )


def _read_request(message: bytes) -> IssueRequest:
    try:
        return parse(IssueRequest, message)
    except InvalidMessage as error:
        raise Refusal(E_OTHER, f"the request cannot be read: {error}") from None


def list_proof_servers(addresses: tuple[Multiaddr, ...], trust: Trust) -> list[ProofServer]:
    """The addresses, each with /p2p, as the issue info lists them: one entry for each server that is trusted.

    The keys are named where a server's own is not the only one: for a client, which is to check what it is given.
    """
    servers: dict[PeerId, list[bytes]] = {}
    for address in addresses:
        if address.peer_id is not None and trust.keys_of(address.peer_id):
            servers.setdefault(address.peer_id, []).append(bytes(address.without_peer_id()))
    return [
        ProofServer(id=server.multihash, addrs=addrs, display=str(server), keys=_other_keys(server, trust))
        for server, addrs in servers.items()
    ]


def _other_keys(server: PeerId, trust: Trust) -> list[bytes]:
    keys = trust.keys_of(server)
    return [] if keys == [server] else [key.multihash for key in keys]
