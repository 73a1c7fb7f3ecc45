"""The first half of the way to a certificate: what the issue server wants, and proofs of where this peer is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from twisted.internet.defer import Deferred, FirstError, TimeoutError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from nodetrust.addresses import by_family
from nodetrust.client.errors import IssuerUnreachable, NoProofs, ObtainError
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PublicKey
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import (
    ISSUE_INFO_PROTOCOL,
    MAX_ISSUE_INFO_BYTES,
    MAX_PROOF_RESPONSE_BYTES,
    OK,
    PROOF_PROTOCOL,
    PROOF_PROTOCOL_NONCE,
    IssueInfo,
    ProofRequest,
    ProofResponse,
    ProofServer,
    ProofWrapper,
    error_name,
    parse,
    readable,
)
from nodetrust.names import IPAddress, check_zone
from nodetrust.proofs import OutOfTime, Proven, check_proof

INFO_SECONDS = 15.0
"""For the issue info: it needs no work."""

PROOF_SECONDS = 15.0
"""For one proof; a slower one is left out."""

MAX_PROOF_SERVERS = 16
"""Of an issue info; more are not asked. Each gives a proof for each family, and an issue server takes twice that."""

MAX_KEYS = 16
"""Of one proof server; more are not tried."""

log = Logger()

Progress = Callable[[str], None]
"""Is told each step, in words for a person."""


@dataclass(frozen=True, slots=True)
class Proofs:
    """What an issue server needs to be told, and what it said it gives."""

    zone: str
    cryptos: frozenset[int]
    """The key algorithms that it offers; empty if it did not say."""
    wrappers: tuple[ProofWrapper, ...]
    addresses: tuple[IPAddress, ...]
    """Those that the proofs are for, each once."""


@dataclass(frozen=True, slots=True)
class Found:
    """A proof that is right, but perhaps for its time."""

    server: PeerId
    wrapper: ProofWrapper
    proven: Proven
    out_of_time: OutOfTime | None = None


@dataclass(frozen=True, slots=True)
class Purpose:
    """Whom a proof is for: the issue server, and the nonce that it gave (empty, if it is of 2018)."""

    issuer: PeerId
    nonce: bytes

    def to_request(self) -> ProofRequest:
        """What a proof server is asked."""
        return ProofRequest(issuer=self.issuer.multihash, nonce=self.nonce or None)


def peer_of(issuer: Sequence[Multiaddr]) -> PeerId:
    """The peer ID of an issue server; raises `ObtainError` if its address has none."""
    issuer_id = issuer[0].peer_id
    if issuer_id is None:
        raise ObtainError(f"the issue server's address has no /p2p/PEER-ID: {issuer[0]}")
    return issuer_id


async def prove(
    host: Host, issuer: Sequence[Multiaddr], *, clock: IReactorTime, progress: Progress = lambda step: None
) -> Proofs:
    """Proofs for the issue server at `issuer`, which carries /p2p, from the proof servers that it names.

    Each proof server is dialled anew, over IPv4 and over IPv6 if it has both: it proves the address that a connection
    comes from, and an old connection may come from an old address. Raises `ObtainError`.
    """
    issuer_id = peer_of(issuer)
    info = await ask_info(host, issuer)
    progress(f"the issue server gives names in {info.domain} and trusts {len(info.proofs)} proof server(s)")
    found = in_time(await _gather(host, clock, info, Purpose(issuer_id, info.nonce)))
    addresses = agreed(found, info.quorum)
    progress(f"{len(found)} proof(s) for {', '.join(map(str, addresses))}")
    return Proofs(info.domain, frozenset(info.cryptos), tuple(one.wrapper for one in found), addresses)


def in_time(found: Sequence[Found]) -> list[Found]:
    """Without the proofs of servers whose clocks are wrong, since one of those would spoil the request.

    If all look wrong it is the clock here: the issue server, which has another, is the one to judge.
    """
    for one in found:
        if one.out_of_time is not None:
            log.warn("{server}: {reason}", server=str(one.server), reason=str(one.out_of_time))
    return [one for one in found if one.out_of_time is None] or list(found)


def agreed(found: Sequence[Found], quorum: int) -> tuple[IPAddress, ...]:
    """The addresses for which as many servers vouch as the issue server asks for. Raises `NoProofs`: there is none."""
    vouching = votes(found)
    too_few = {address: len(servers) for address, servers in vouching.items() if len(servers) < quorum}
    if not too_few:
        return tuple(sorted(vouching, key=str))
    counts = ", ".join(f"{count} of {quorum} for {address}" for address, count in too_few.items())
    if len(too_few) == len(vouching):
        raise NoProofs(f"too few proof servers vouch for an address: {counts}")
    log.warn("no name for an address that too few proof servers vouch for: {counts}", counts=counts)
    return tuple(sorted(vouching.keys() - too_few.keys(), key=str))


def votes(found: Sequence[Found]) -> dict[IPAddress, set[PeerId]]:
    """Which proof servers vouch for each address."""
    vouching: dict[IPAddress, set[PeerId]] = {}
    for one in found:
        for address in one.proven.addresses:
            vouching.setdefault(address, set()).add(one.server)
    return vouching


async def ask_info(host: Host, issuer: Sequence[Multiaddr]) -> IssueInfo:
    """What the issue server at `issuer`, which carries /p2p, says to this peer. Raises `ObtainError`."""
    issuer_id = peer_of(issuer)
    try:
        await host.connect(issuer, issuer_id)
        stream = await host.open_messages(issuer_id, [ISSUE_INFO_PROTOCOL], MAX_ISSUE_INFO_BYTES, INFO_SECONDS)
        try:
            info = parse(IssueInfo, await stream.read())
        finally:
            stream.close()
        info.domain = check_zone(info.domain)
        return info
    except (Libp2pError, NodetrustError) as error:
        raise IssuerUnreachable(f"the issue server {issuer_id} gave no information: {error}") from error


async def _gather(host: Host, clock: IReactorTime, info: IssueInfo, purpose: Purpose) -> list[Found]:
    """Every proof that can be had; a proof server that fails is ignored, none at all is an error."""
    tries = [
        Deferred.fromCoroutine(_try_proof(host, clock, server, addresses, purpose))
        for server in list(info.proofs)[:MAX_PROOF_SERVERS]
        for addresses in by_family(readable_addresses(server)).values() or [[]]
    ]
    try:
        found = await gatherResults(tries, consumeErrors=True)
    except FirstError as first:  # cancelled, or a bug
        first.subFailure.raiseException()
    proofs = [one for one in found if not isinstance(one, str)]
    if not proofs:
        reasons = [one for one in found if isinstance(one, str)]
        raise NoProofs("; ".join(["no proof server gave a proof", *reasons]))
    return proofs


def readable_addresses(server: ProofServer) -> list[Multiaddr]:
    """A proof server's addresses of a kind that we know: a newer server may list others beside them."""
    addresses = []
    for address in server.addrs:
        with suppress(Libp2pError):
            addresses.append(Multiaddr.from_bytes(address))
    return addresses


def places_of(server: ProofServer) -> list[Multiaddr]:
    """Where to dial it, with its /p2p; nothing where the server's ID is none."""
    with suppress(Libp2pError):
        return [place.without_peer_id().with_peer_id(PeerId(server.id)) for place in readable_addresses(server)]
    return []


async def _try_proof(
    host: Host, clock: IReactorTime, server: ProofServer, addresses: list[Multiaddr], purpose: Purpose
) -> Found | str:
    """The proof, or why there is none."""
    asking = Deferred.fromCoroutine(ask_proof(host, clock, server, addresses, purpose))
    try:
        return await asking.addTimeout(PROOF_SECONDS, clock)
    except TimeoutError:
        reason = f"no answer within {PROOF_SECONDS:g} seconds"
    except (Libp2pError, NodetrustError) as error:
        reason = str(error)
    reason = f"{readable(server.display)}: {reason}"
    log.info("no proof from {reason}", reason=reason)
    return reason


async def ask_proof(
    host: Host, clock: IReactorTime, server: ProofServer, addresses: list[Multiaddr], purpose: Purpose
) -> Found:
    """A proof server's word, checked as the issue server will check it: there, one bad proof spoils the request.

    Raises a `NodetrustError` or a `Libp2pError`.
    """
    server_id = PeerId(server.id)
    async with host.brief_connection(addresses, server_id) as connection:  # the only one is kept, for announcements
        response = await _read_proof(connection, clock, purpose)
    if response.error != OK:
        raise NoProofs(readable(response.message) or f"error {error_name(response.error)}")
    facts = _Facts(_keys_of(server, connection), host.peer_id, purpose)
    now_ms = int(clock.seconds() * 1000)
    try:
        return Found(server_id, response.proof, facts.check(response.proof, now_ms))
    except OutOfTime as error:
        proven = facts.check(response.proof, now_ms + error.ahead_ms)
        return Found(server_id, response.proof, proven, error)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a proof is checked against, but for the time."""

    trusted: dict[PeerId, PublicKey]
    peer_id: PeerId
    purpose: Purpose

    def check(self, wrapper: ProofWrapper, now_ms: int) -> Proven:
        return check_proof(
            wrapper,
            trusted=self.trusted,
            peer_id=self.peer_id,
            now_ms=now_ms,
            issuer=self.purpose.issuer,
            nonces=(self.purpose.nonce,),
        )


def _keys_of(server: ProofServer, connection: Connection) -> dict[PeerId, PublicKey]:
    """What the server may sign with: the keys that the issue server trusts it with, or else the server's own."""
    if not server.keys:
        return {connection.remote_peer: connection.remote_key}
    ids = [PeerId(key) for key in list(server.keys)[:MAX_KEYS]]
    return {key_id: key for key_id in ids if (key := PublicKey.from_peer_id(key_id)) is not None}


async def _read_proof(connection: Connection, clock: IReactorTime, purpose: Purpose) -> ProofResponse:
    below = await connection.open_stream([PROOF_PROTOCOL_NONCE, PROOF_PROTOCOL])
    stream = MessageStream(MAX_PROOF_RESPONSE_BYTES, clock, PROOF_SECONDS)
    below.attach(stream)
    try:
        if below.protocol_id == PROOF_PROTOCOL_NONCE:
            stream.write(purpose.to_request().SerializeToString())
        return parse(ProofResponse, await stream.read())
    finally:
        stream.close()
