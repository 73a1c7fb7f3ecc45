"""From a request to the order that it entitles to: every rule of the issue server, in one pure function."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from nodetrust.addresses import is_public
from nodetrust.issue.errors import Refusal
from nodetrust.issue.keys import CertificateRequest, common_cryptos, read_csr
from nodetrust.libp2p.keys import PublicKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import E_INVALID_PROOF, E_NOT_AUTHORIZED, IssueRequest
from nodetrust.names import (
    InvalidName,
    IPAddress,
    NameChoice,
    certificate_names,
    check_certificate_name,
    name_for_peer,
)
from nodetrust.proofs import InvalidProof, check_proof

MAX_PROOFS = 32
"""In one request: more proof servers than anybody runs; each costs a signature to check."""

MAX_NAMES = 25
"""On one certificate: Let's Encrypt's limit for its short profiles."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the issue server's operator has settled."""

    zone: str
    issuer: PeerId
    proof_keys: Mapping[PeerId, PublicKey]
    """Whose proofs are trusted."""
    cryptos: Sequence[int]
    """Offered key algorithms, best first."""
    names: NameChoice
    allow_private: bool
    require_nonce: bool


@dataclass(frozen=True, slots=True)
class Order:
    """A certificate that `peer` may have."""

    peer: PeerId
    names: tuple[str, ...]
    """Sorted, lower case."""
    addresses: tuple[IPAddress, ...]
    """Those that were proven, sorted."""
    crypto: int
    csr: CertificateRequest | None
    """None for a client of 2018, for which the server makes the key."""
    common_name: str
    """The name of the peer, which `IssueResponse.cn` tells; the certificate has no CN."""


def decide(
    request: IssueRequest, peer: PeerId, nonces: frozenset[bytes], now_ms: int, policy: Policy
) -> tuple[Order, frozenset[bytes]]:
    """The order that `request`, from the authenticated `peer`, entitles to, and the nonces that it used up.

    `nonces` are those given to this peer and still open; `now_ms` is the time in milliseconds since the epoch. Raises
    `Refusal`: one bad proof refuses the whole request.
    """
    addresses, used = _proven(request, peer, nonces, now_ms, policy)
    allowed = certificate_names(peer, addresses, policy.zone, policy.names)
    offered = common_cryptos(policy.cryptos, request.supportedCryptos)
    csr = read_csr(request.csr, offered) if request.csr else None
    names = _ordered_names(allowed, csr)
    crypto = offered[0] if csr is None else csr.crypto
    proven = tuple(sorted(addresses, key=lambda ip: (ip.version, int(ip))))
    return Order(peer, names, proven, crypto, csr, name_for_peer(peer, policy.zone)), used


def _proven(
    request: IssueRequest, peer: PeerId, nonces: frozenset[bytes], now_ms: int, policy: Policy
) -> tuple[set[IPAddress], frozenset[bytes]]:
    if not request.proofs:
        raise Refusal(E_INVALID_PROOF, "the request has no proof: ask the proof servers of the issue info first")
    if len(request.proofs) > MAX_PROOFS:
        raise Refusal(E_INVALID_PROOF, f"the request has more than {MAX_PROOFS} proofs")
    addresses: set[IPAddress] = set()
    used: set[bytes] = set()
    for wrapper in request.proofs:
        try:
            proven = check_proof(
                wrapper,
                trusted=policy.proof_keys,
                peer_id=peer,
                now_ms=now_ms,
                issuer=policy.issuer,
                nonces=nonces,
                require_nonce=policy.require_nonce,
            )
        except InvalidProof as error:
            raise Refusal(E_INVALID_PROOF, f"a proof is not valid: {error}") from None
        addresses.update(proven.addresses)
        if proven.nonce:
            used.add(proven.nonce)
    for address in addresses:
        if not (policy.allow_private or is_public(address)):
            raise Refusal(E_INVALID_PROOF, f"{address} is not a public address: it gets no certificate")
    return addresses, frozenset(used)


def _ordered_names(allowed: frozenset[str], csr: CertificateRequest | None) -> tuple[str, ...]:
    names = allowed if csr is None else csr.names
    foreign = sorted(names - allowed)
    if foreign:
        raise Refusal(
            E_NOT_AUTHORIZED,
            f"the CSR asks for names that were not proven, or are not given here: {', '.join(foreign[:3])}",
        )
    _check_names(names)
    return tuple(sorted(names))


def _check_names(names: Collection[str]) -> None:
    if len(names) > MAX_NAMES:
        raise Refusal(E_NOT_AUTHORIZED, f"a certificate carries at most {MAX_NAMES} names")
    try:
        for name in names:
            check_certificate_name(name)
    except InvalidName as error:
        raise Refusal(E_NOT_AUTHORIZED, str(error)) from None
