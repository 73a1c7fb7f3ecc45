"""From a request to the order that it entitles to: every rule of the issue server, in one pure function."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nodetrust.issue.errors import Refusal
from nodetrust.issue.evidence.trust import Trust
from nodetrust.issue.evidence.weigh import Evidence, Terms, Visit, not_enough, weigh
from nodetrust.issue.keys import CertificateRequest, common_cryptos, read_csr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import E_NOT_AUTHORIZED, IssueRequest
from nodetrust.names import (
    InvalidName,
    IPAddress,
    NameChoice,
    certificate_names,
    check_certificate_name,
    name_for_address,
    name_for_peer,
)

MAX_NAMES = 25
"""On one certificate: Let's Encrypt's limit for its short profiles."""

DENIED = "this server gives you nothing: you, or an address of yours, is on its denylist"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the issue server's operator has settled."""

    zone: str
    issuer: PeerId
    trust: Trust
    """Whose proofs are trusted, and who is denied; the one part that changes while the server runs."""
    cryptos: Sequence[int]
    """Offered key algorithms, best first."""
    names: NameChoice
    allow_private: bool
    require_nonce: bool

    @property
    def terms(self) -> Terms:
        """What is asked of proofs."""
        return Terms(self.issuer, self.trust, self.allow_private, self.require_nonce)


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
    own: bool = False
    """The issue server's for itself: it proves nothing, has a quota of its own, and waits behind no peer."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The order, and what it rests on."""

    order: Order
    evidence: Evidence


def decide(request: IssueRequest, visit: Visit, policy: Policy) -> Decision:
    """The order that a peer's `request` entitles it to. Raises `Refusal`, what is cheap to see first."""
    peer = visit.peer
    _check_denied(peer, () if visit.address is None else (visit.address,), policy)
    evidence = weigh(request.proofs, visit, policy.terms)
    _check_denied(peer, (*evidence.addresses, *evidence.too_few), policy)
    offered = common_cryptos(policy.cryptos, request.supportedCryptos)
    csr = read_csr(request.csr, offered) if request.csr else None
    names = _ordered_names(peer, evidence, csr, policy)
    crypto = offered[0] if csr is None else csr.crypto
    proven = tuple(sorted(evidence.addresses, key=lambda ip: (ip.version, int(ip))))
    return Decision(Order(peer, names, proven, crypto, csr, name_for_peer(peer, policy.zone)), evidence)


def _check_denied(peer: PeerId, addresses: Collection[IPAddress], policy: Policy) -> None:
    if policy.trust.lists.deny_peer(peer, addresses):
        raise Refusal(E_NOT_AUTHORIZED, DENIED)


def _ordered_names(peer: PeerId, evidence: Evidence, csr: CertificateRequest | None, policy: Policy) -> tuple[str, ...]:
    """The names of the certificate: what the CSR asks for, if all of it is proven, or else all that is proven."""
    try:
        allowed = certificate_names(peer, evidence.addresses, policy.zone, policy.names)
    except InvalidName as error:
        raise Refusal(E_NOT_AUTHORIZED, str(error)) from None
    names = allowed if csr is None else csr.names
    foreign = sorted(names - allowed)
    if foreign:
        missing = {ip: n for ip, n in evidence.too_few.items() if name_for_address(ip, policy.zone) in foreign}
        if missing:
            raise not_enough(missing, policy.trust.quorum)
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
