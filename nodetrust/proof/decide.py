"""What a proof server answers: a function of who asks, and of where the connection really comes from."""

from __future__ import annotations

from dataclasses import dataclass

from nodetrust.addresses import direct_ip, is_public
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.lists.lists import NO_LISTS, Lists
from nodetrust.messages import E_NOT_AUTHORIZED, E_OTHER, OK, ProofRequest, ProofResponse, parse
from nodetrust.proofs import MAX_NONCE_BYTES, make_proof


class NoProof(NodetrustError):
    """The server sees no address that it may prove; the text tells the peer why."""


def read_request(message: bytes) -> ProofRequest:
    """The `ProofRequest` of protocol 1.1.0; raises `InvalidMessage`, `InvalidPeerId` or `NoProof`."""
    request = parse(ProofRequest, message)
    if len(request.nonce) > MAX_NONCE_BYTES:
        raise NoProof(f"the nonce is longer than {MAX_NONCE_BYTES} bytes")
    if request.issuer:
        PeerId(request.issuer)
    return request


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator has settled; the lists may change at any time."""

    allow_private: bool = False
    lists: Lists = NO_LISTS


@dataclass(frozen=True, slots=True)
class Caller:
    """The authenticated peer, and where its connection comes from."""

    peer: PeerId
    address: Multiaddr


def answer(key: PrivateKey, caller: Caller, now_ms: int, request: ProofRequest, rules: Rules) -> ProofResponse:
    """The proof for `caller`, signed with `key` at `now_ms` (milliseconds since the epoch)."""
    peer, ip = caller.peer, direct_ip(caller.address)
    if ip is None:
        return refusal(NoProof("the connection does not come straight from an IP address"))
    if rules.lists.deny_peer(peer, (ip,)):
        return ProofResponse(error=E_NOT_AUTHORIZED, message=f"{peer} at {ip} is on the denylist of this server")
    if not (rules.allow_private or is_public(ip)):
        return ProofResponse(
            error=E_NOT_AUTHORIZED,
            message=f"you come from {ip}, which is not a public address: this server proves public addresses only",
        )
    wrapper = make_proof(key, peer, [ip], now_ms, issuer=request.issuer or None, nonce=request.nonce or None)
    return ProofResponse(error=OK, proof=wrapper)


def refusal(error: Exception) -> ProofResponse:
    """The answer to a request that cannot be served."""
    return ProofResponse(error=E_OTHER, message=str(error))
