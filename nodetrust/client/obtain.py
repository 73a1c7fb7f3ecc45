"""From proofs to a certificate: send them with a CSR to the issue server, and check what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from twisted.internet.interfaces import IReactorTime

from nodetrust.certificates import CertificateKey, Chain, InvalidCertificate, make_csr
from nodetrust.client.errors import IssuerUnreachable, ObtainError, Refused
from nodetrust.client.prove import Progress, Proofs, peer_of, prove
from nodetrust.client.renewal import server_plan
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import (
    E_NO_MATCHING_CRYPTO,
    ISSUE_PROTOCOL,
    MAX_ISSUE_RESPONSE_BYTES,
    OK,
    IssueRequest,
    IssueResponse,
    error_name,
    parse,
    readable,
)
from nodetrust.names import IPAddress, NameChoice, certificate_names

ISSUE_SECONDS = 330.0
"""For the certificate: an order may take five minutes, and its failure should still arrive."""


@dataclass(frozen=True, slots=True)
class Obtained:
    """A certificate with the key it is for, and the addresses that were proven for it.

    `renew_at`: when to ask for the next one, if the issue server has said it; always within the certificate's life.
    `issuer`: which issue server has given it, if that is known.
    """

    chain: Chain
    key: CertificateKey
    addresses: tuple[IPAddress, ...]
    from_cache: bool
    renew_at: datetime | None = None
    issuer: PeerId | None = None


async def obtain(
    host: Host,
    issuer: Sequence[Multiaddr],
    key: CertificateKey,
    crypto: int,
    *,
    clock: IReactorTime,
    names: NameChoice = "addresses",
    progress: Progress = lambda step: None,
) -> Obtained:
    """Obtain a certificate for `key` (of algorithm `crypto`) from the issue server at `issuer`, which carries /p2p.

    Raises `ObtainError`.
    """
    proofs = await prove(host, issuer, clock=clock, progress=progress)
    return await obtain_with(proofs, host, issuer, key, crypto, names=names, progress=progress)


async def obtain_with(
    proofs: Proofs,
    host: Host,
    issuer: Sequence[Multiaddr],
    key: CertificateKey,
    crypto: int,
    *,
    names: NameChoice = "addresses",
    progress: Progress = lambda step: None,
) -> Obtained:
    """The same with proofs that are there already, and not used before. Raises `ObtainError`."""
    if proofs.cryptos and crypto not in proofs.cryptos:
        raise Refused("the issue server does not offer the key's algorithm", E_NO_MATCHING_CRYPTO, None)
    wanted = sorted(certificate_names(host.peer_id, proofs.addresses, proofs.zone, names))
    request = IssueRequest(
        proofs=proofs.wrappers,
        supportedCryptos=[crypto],  # type: ignore[list-item]  # an int is an enum here
        csr=make_csr(key, wanted),
    )
    progress(f"asking for a certificate for {', '.join(wanted)}")
    issuer_id = peer_of(issuer)
    response = await _ask_certificate(host, issuer, issuer_id, request)
    chain = _checked(response, key, wanted)
    renew_at = None
    if response.HasField("renewAt"):
        renew_at = server_plan(response.renewAt, chain.not_before, chain.not_after)
    return Obtained(chain, key, proofs.addresses, response.fromCache, renew_at, issuer_id)


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
        name = error_name(response.error)
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
