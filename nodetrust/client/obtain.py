"""From nothing to a certificate: ask the issue server what it wants, gather proofs, send them with a CSR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred, FirstError, TimeoutError, gatherResults
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
from nodetrust.names import IPAddress, check_zone, name_for_address, name_for_peer, wildcard_for_peer
from nodetrust.proofs import Proven, check_proof

INFO_SECONDS = 15.0
"""For the issue info: it needs no work."""

PROOF_SECONDS = 15.0
"""For one proof server; a slower one is left out."""

ISSUE_SECONDS = 330.0
"""For the certificate: an order may take five minutes, and its failure should still arrive."""

MAX_PROOF_SERVERS = 16
"""Of an issue info; more are not asked."""

MAX_TEXT_CHARACTERS = 500
"""Of what a server says to people."""

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
        supportedCryptos=[crypto],  # type: ignore[list-item]  # an int is an enum here
        csr=make_csr(key, wanted),
    )
    progress(f"asking for a certificate for {', '.join(wanted)}")
    response = await _ask_certificate(host, issuer, issuer_id, request)
    return Obtained(_checked(response, key, wanted), key, tuple(proven), response.fromCache)


async def _ask_info(host: Host, issuer: Sequence[Multiaddr], issuer_id: PeerId) -> IssueInfo:
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


async def _gather(
    host: Host, clock: IReactorTime, info: IssueInfo, issuer_id: PeerId
) -> list[tuple[ProofWrapper, Proven]]:
    """Every proof that can be had; a proof server that fails is ignored, none at all is an error."""
    servers = list(info.proofs)[:MAX_PROOF_SERVERS]
    tries = [Deferred.fromCoroutine(_try_proof(host, clock, server, issuer_id, info.nonce)) for server in servers]
    try:
        found = await gatherResults(tries, consumeErrors=True)
    except FirstError as first:  # cancelled, or a bug
        first.subFailure.raiseException()
    proofs = [one for one in found if not isinstance(one, str)]
    if not proofs:
        reasons = [one for one in found if isinstance(one, str)]
        raise NoProofs("; ".join(["no proof server gave a proof", *reasons]))
    return proofs


async def _try_proof(
    host: Host, clock: IReactorTime, server: ProofServer, issuer_id: PeerId, nonce: bytes
) -> tuple[ProofWrapper, Proven] | str:
    """The proof, or why there is none."""
    asking = Deferred.fromCoroutine(_ask_proof(host, clock, server, issuer_id, nonce))
    try:
        return await asking.addTimeout(PROOF_SECONDS, clock)
    except TimeoutError:
        reason = f"no answer within {PROOF_SECONDS:g} seconds"
    except (Libp2pError, NodetrustError) as error:
        reason = str(error)
    reason = f"{readable(server.display)}: {reason}"
    log.info("no proof from {reason}", reason=reason)
    return reason


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
        raise NoProofs(readable(response.message) or f"error {_error_name(response.error)}")
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
        text = f"the issue server refused ({name})" + (f": {readable(response.message)}" if response.message else "")
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
    return Error.Name(code) if code in Error.values() else str(code)


def readable(text: str) -> str:
    """What a server says, fit for a terminal and a log: printable, and not endless."""
    return "".join(character if character.isprintable() else " " for character in text[:MAX_TEXT_CHARACTERS])
