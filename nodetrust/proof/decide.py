"""What a proof server answers: a function of who asks, and of where the connection really comes from."""

from __future__ import annotations

from ipaddress import ip_address

from nodetrust.addresses import is_public, normalise
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import E_NOT_AUTHORIZED, E_OTHER, OK, ProofRequest, ProofResponse, parse
from nodetrust.names import IPAddress
from nodetrust.proofs import MAX_NONCE_BYTES, make_proof


class NoProof(NodetrustError):
    """The server sees no address that it may prove; the text tells the peer why."""


def observed_ip(address: Multiaddr) -> IPAddress:
    """The IP address at the other end of a connection; an IPv4-mapped IPv6 address is the IPv4 address.

    Raises `NoProof` for a connection that does not come straight from an IP address (a relayed one).
    """
    text = address.get("ip4") or address.get("ip6")
    if text is None or address.has("p2p-circuit"):
        raise NoProof("the connection does not come straight from an IP address")
    return normalise(ip_address(text))


def read_request(message: bytes) -> ProofRequest:
    """The `ProofRequest` of protocol 1.1.0; raises `InvalidMessage`, `InvalidPeerId` or `NoProof`."""
    request = parse(ProofRequest, message)
    if len(request.nonce) > MAX_NONCE_BYTES:
        raise NoProof(f"the nonce is longer than {MAX_NONCE_BYTES} bytes")
    if request.issuer:
        PeerId(request.issuer)
    return request


def answer(
    key: PrivateKey, peer: PeerId, address: Multiaddr, now_ms: int, request: ProofRequest, *, allow_private: bool
) -> ProofResponse:
    """The proof for `peer`, seen at `address`, at `now_ms` (milliseconds since the epoch)."""
    try:
        ip = observed_ip(address)
    except NoProof as error:
        return refusal(error)
    if not (allow_private or is_public(ip)):
        return ProofResponse(
            error=E_NOT_AUTHORIZED,
            message=f"you come from {ip}, which is not a public address: this server proves public addresses only",
        )
    wrapper = make_proof(key, peer, [ip], now_ms, issuer=request.issuer or None, nonce=request.nonce or None)
    return ProofResponse(error=OK, proof=wrapper)


def refusal(error: Exception) -> ProofResponse:
    """The answer to a request that cannot be served."""
    return ProofResponse(error=E_OTHER, message=str(error))
