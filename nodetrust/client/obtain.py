"""From nothing to a certificate: ask the issue server what it wants, gather proofs, send them with a CSR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from nodetrust.certificates import CertificateKey, Chain, InvalidCertificate, make_csr
from nodetrust.client.errors import IssuerUnreachable, NoProofs, ObtainError, Refused
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import (
    E_NO_MATCHING_CRYPTO,
    ISSUE_INFO_PROTOCOL,
    ISSUE_PROTOCOL,
    MAX_ISSUE_INFO_BYTES,
    MAX_ISSUE_RESPONSE_BYTES,
    MAX_PROOF_RESPONSE_BYTES,
    OK,
    PROOF_PROTOCOL,
    PROOF_PROTOCOL_NONCE,
    Error,
    IssueInfo,
    IssueRequest,
    IssueResponse,
    ProofRequest,
    ProofResponse,
    ProofServer,
    ProofWrapper,
    parse,
)
from nodetrust.names import IPAddress, name_for_address, name_for_peer, wildcard_for_peer
from nodetrust.proofs import Proven, check_proof

INFO_SECONDS = 15.0
"""For the issue info: it needs no work."""

PROOF_SECONDS = 15.0
"""For one proof server; a slower one is left out."""

ISSUE_SECONDS = 300.0
"""For the certificate: the CA looks at DNS from several places, and may queue."""

MAX_PROOF_SERVERS = 16
"""Of an issue info; more are not asked."""

log = Logger()


@dataclass(frozen=True, slots=True)
class Obtained:
    """A certificate with the key it is for, and the addresses that were proven for it."""

    chain: Chain
    key: CertificateKey
    addresses: tuple[IPAddress, ...]
    from_cache: bool


Progress = Callable[[str], None]
"""Is told each step, in words for a person."""


async def obtain(
    host: Host,
    issuer: Sequence[Multiaddr],
    key: CertificateKey,
    crypto: int,
    *,
    clock: IReactorTime,
    names: str = "addresses",
    progress: Progress = lambda step: None,
) -> Obtained:
    """Obtain a certificate for `key` (of algorithm `crypto`) from the issue server at `issuer`, which carries /p2p.

    `names` says which names to ask for: `addresses` (each proven address, and the peer's own), `peer` (the peer's own
    and everything below it), or `both`. Raises `ObtainError`.
    """
    issuer_id = issuer[0].peer_id
    if issuer_id is None:
        raise ObtainError(f"the issue server's address has no /p2p/PEER-ID: {issuer[0]}")
    info = await _ask_info(host, issuer, issuer_id)
    if info.cryptos and crypto not in info.cryptos:
        raise Refused("the issue server does not offer the key's algorithm", E_NO_MATCHING_CRYPTO, None)
    progress(f"the issue server gives names in {info.domain} and trusts {len(info.proofs)} proof server(s)")
    proofs = await _gather(host, clock, info, issuer_id)
    proven = sorted({address for _, proof in proofs for address in proof.addresses}, key=str)
    progress(f"{len(proofs)} proof(s) for {', '.join(map(str, proven))}")
    wanted = _wanted_names(host.peer_id, info.domain, proven, names)
    request = IssueRequest(
        proofs=[wrapper for wrapper, _ in proofs],
        supportedCryptos=[crypto],
        csr=make_csr(key, wanted),  # type: ignore[list-item]
    )
    progress(f"asking for a certificate for {', '.join(wanted)}")
    response = await _ask_certificate(host, issuer, issuer_id, request)
    return Obtained(_checked(response, key, wanted), key, tuple(proven), response.fromCache)


async def _ask_info(host: Host, issuer: Sequence[Multiaddr], issuer_id: PeerId) -> IssueInfo:
    try:
        await host.connect(issuer, issuer_id)
        stream = await host.open_messages(issuer_id, [ISSUE_INFO_PROTOCOL], MAX_ISSUE_INFO_BYTES, INFO_SECONDS)
        try:
            return parse(IssueInfo, await stream.read())
        finally:
            stream.close()
    except (Libp2pError, NodetrustError) as error:
        raise IssuerUnreachable(f"the issue server {issuer_id} gave no information: {error}") from error


async def _gather(
    host: Host, clock: IReactorTime, info: IssueInfo, issuer_id: PeerId
) -> list[tuple[ProofWrapper, Proven]]:
    """Every proof that can be had; a proof server that fails is ignored, none at all is an error."""
    servers = list(info.proofs)[:MAX_PROOF_SERVERS]
    results = await DeferredList(
        [Deferred.fromCoroutine(_ask_proof(host, clock, server, issuer_id, info.nonce)) for server in servers],
        consumeErrors=True,
    )
    reasons = []
    proofs = []
    for server, (success, result) in zip(servers, results, strict=True):
        if success:
            proofs.append(result)
            continue
        reasons.append(f"{server.display}: {result.getErrorMessage()}")
        if result.check(Libp2pError, NodetrustError):
            log.info("no proof from {server}: {reason}", server=server.display, reason=result.getErrorMessage())
        else:
            log.failure("asking {server} for a proof failed", failure=result, server=server.display)
    if not proofs:
        raise NoProofs("no proof server gave a proof" + "".join(f"; {reason}" for reason in reasons))
    return proofs


async def _ask_proof(
    host: Host, clock: IReactorTime, server: ProofServer, issuer_id: PeerId, nonce: bytes
) -> tuple[ProofWrapper, Proven]:
    """A proof server's word, checked as the issue server will check it: there, one bad proof spoils the request."""
    server_id = PeerId(server.id)
    addresses = [Multiaddr.from_bytes(address) for address in server.addrs]
    connection = await host.connect(addresses, server_id)
    stream = await host.open_messages(
        server_id, [PROOF_PROTOCOL_NONCE, PROOF_PROTOCOL], MAX_PROOF_RESPONSE_BYTES, PROOF_SECONDS
    )
    try:
        if stream.stream.protocol_id == PROOF_PROTOCOL_NONCE:
            stream.write(ProofRequest(issuer=issuer_id.multihash, nonce=nonce or None).SerializeToString())
        response = parse(ProofResponse, await stream.read())
    finally:
        stream.close()
    if response.error != OK:
        raise NoProofs(response.message or f"error {_error_name(response.error)}")
    proven = check_proof(
        response.proof,
        trusted={server_id: connection.remote_key},
        peer_id=host.peer_id,
        now_ms=int(clock.seconds() * 1000),
        issuer=issuer_id,
        nonces=[nonce],
    )
    return response.proof, proven


def _wanted_names(peer: PeerId, zone: str, addresses: Sequence[IPAddress], names: str) -> list[str]:
    own = name_for_peer(peer, zone)
    wanted = {own}
    if names in ("addresses", "both"):
        wanted |= {name_for_address(address, zone) for address in addresses}
    if names in ("peer", "both"):
        wanted.add(wildcard_for_peer(peer, zone))
    return sorted(wanted)


async def _ask_certificate(
    host: Host, issuer: Sequence[Multiaddr], issuer_id: PeerId, request: IssueRequest
) -> IssueResponse:
    try:
        await host.connect(issuer, issuer_id)
        stream = await host.open_messages(issuer_id, [ISSUE_PROTOCOL], MAX_ISSUE_RESPONSE_BYTES, ISSUE_SECONDS)
        try:
            stream.write(request.SerializeToString())
            response = parse(IssueResponse, await stream.read())
        finally:
            stream.close()
    except (Libp2pError, NodetrustError) as error:
        raise IssuerUnreachable(f"the issue server {issuer_id} gave no answer: {error}") from error
    if response.error != OK:
        name = _error_name(response.error)
        text = f"the issue server refused ({name})" + (f": {response.message}" if response.message else "")
        raise Refused(text, response.error, response.retryAfter if response.HasField("retryAfter") else None)
    return response


def _checked(response: IssueResponse, key: CertificateKey, wanted: Sequence[str]) -> Chain:
    try:
        chain = Chain.from_pem(response.chain)
    except InvalidCertificate as error:
        raise ObtainError(f"the issue server's certificate is of no use: {error}") from error
    if not chain.is_for(key):
        raise ObtainError("the issue server's certificate is for another key")
    if chain.names != frozenset(wanted):
        raise ObtainError(f"the issue server's certificate is for other names: {', '.join(sorted(chain.names))}")
    return chain


def _error_name(code: int) -> str:
    return Error.Name(code) if code in Error.values() else str(code)  # type: ignore[arg-type]
