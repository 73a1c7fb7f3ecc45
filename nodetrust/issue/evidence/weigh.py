"""From the proofs of a request to the addresses that count: who saw the peer there, and did enough servers. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from nodetrust.addresses import is_public
from nodetrust.issue.errors import Refusal
from nodetrust.issue.evidence.trust import Trust, ahead_ms
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import E_INVALID_PROOF, ProofWrapper
from nodetrust.names import IPAddress
from nodetrust.proofs import VALID_MS, InvalidProof, OutOfTime, Proven, check_proof

MAX_PROOFS_PER_SERVER = 4
"""In one request, for each proof server that is trusted: it gives one for each family. Each costs as many checks of its
signature as there are keys, also in a request that is refused in the end."""


class Nonces(Protocol):
    """The nonces that a peer may use now, each with the time at which it was given, in milliseconds. A dict is one."""

    def __contains__(self, nonce: object, /) -> bool:
        """Whether it may be used."""

    def __getitem__(self, nonce: bytes, /) -> int:
        """When it was given."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Who asks, from where, and when."""

    peer: PeerId
    """The authenticated peer."""
    nonces: Nonces
    """Those given to this peer and still open."""
    now_ms: int
    """By the clock here, in milliseconds since the epoch."""
    address: IPAddress | None = None
    """Where the connection comes from; None if through a relay."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of proofs."""

    issuer: PeerId
    trust: Trust
    allow_private: bool
    require_nonce: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """What all proofs of a request say together."""

    addresses: frozenset[IPAddress]
    """Those that count."""
    too_few: Mapping[IPAddress, int]
    """The others, with the number of proof servers that vouch for each."""
    nonces: frozenset[bytes]
    """What was used up."""
    digests: frozenset[bytes]
    """SHA-256 of each proof that has no nonce: it may be used once, and whoever keeps that must remember it."""
    good_until_ms: int
    """When the last of these is too old for every clock."""
    ahead_ms: Mapping[PeerId, int]
    """How far each proof server's clock is ahead of the one here, or behind (negative)."""


def weigh(proofs: Sequence[ProofWrapper], visit: Visit, terms: Terms) -> Evidence:
    """Check every proof. Raises `Refusal`: one that is wrong refuses them all, so does an address that is not public.

    An address for which too few servers vouch does not count; when there is no other that is a refusal, too.
    """
    if not proofs:
        raise Refusal(E_INVALID_PROOF, "the request has no proof: ask the proof servers of the issue info first")
    most = MAX_PROOFS_PER_SERVER * len(set(terms.trust.servers.values()))
    if len(proofs) > most:
        raise Refusal(E_INVALID_PROOF, f"the request has more than {most} proofs")
    proven = [_check(wrapper, visit, terms) for wrapper in proofs]
    votes: dict[IPAddress, set[PeerId]] = {}
    ahead: dict[PeerId, int] = {}
    for one in proven:
        server = terms.trust.servers[one.signer]
        for address in one.addresses:
            votes.setdefault(address, set()).add(server)
        given_ms = None if one.nonce is None else visit.nonces[one.nonce]
        ahead[server] = max(ahead.get(server, 0), ahead_ms(one.made_ms, visit.now_ms, given_ms), key=abs)
    for address in votes:
        if not (terms.allow_private or is_public(address)):
            raise Refusal(E_INVALID_PROOF, f"{address} is not a public address: it gets no certificate")
    too_few = {address: len(servers) for address, servers in votes.items() if len(servers) < terms.trust.quorum}
    if len(too_few) == len(votes):
        raise not_enough(too_few, terms.trust.quorum)
    return Evidence(
        addresses=frozenset(votes.keys() - too_few.keys()),
        too_few=too_few,
        nonces=frozenset(one.nonce for one in proven if one.nonce is not None),
        digests=frozenset(
            hashlib.sha256(wrapper.proof).digest()
            for wrapper, one in zip(proofs, proven, strict=True)
            if one.nonce is None
        ),
        good_until_ms=max(one.made_ms for one in proven) + 2 * VALID_MS,
        ahead_ms=ahead,
    )


def not_enough(too_few: Mapping[IPAddress, int], quorum: int) -> Refusal:
    """The refusal that says for each address how many of how many servers vouch for it."""
    counts = ", ".join(f"{count} of {quorum} for {address}" for address, count in sorted(too_few.items(), key=str))
    return Refusal(E_INVALID_PROOF, f"too few proof servers vouch for an address: {counts}")


def _check(wrapper: ProofWrapper, visit: Visit, terms: Terms) -> Proven:
    try:
        return check_proof(
            wrapper,
            trusted=terms.trust.keys,
            peer_id=visit.peer,
            now_ms=visit.now_ms,
            issuer=terms.issuer,
            nonces=visit.nonces,
            require_nonce=terms.require_nonce,
        )
    except OutOfTime as error:
        raise Refusal(E_INVALID_PROOF, _about_time(error, terms)) from None
    except InvalidProof as error:
        raise Refusal(E_INVALID_PROOF, f"a proof is not valid: {error}") from None


def _about_time(error: OutOfTime, terms: Terms) -> str:
    """What is known of the two clocks. With a nonce the proof is new, and only a clock can be wrong."""
    server, seconds = terms.trust.servers[error.signer], abs(error.ahead_ms) / 1000
    side = "ahead of" if error.ahead_ms > 0 else "behind"
    cause = "one of the two clocks is wrong"
    if error.ahead_ms < 0 and error.nonce is None:
        cause = "it is as old as that, or " + cause
    return (
        f"a proof is not valid: {error.reason.value}: proof server {server} dated it {seconds:.1f} seconds {side} "
        f"the clock of issue server {terms.issuer}: {cause}"
    )
