"""What is asked for, what makes two requests the same, and the answer with a certificate. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime

from nodetrust.acme import IssuedCertificate
from nodetrust.certificates import Chain, public_key_der
from nodetrust.issue.decide import Order
from nodetrust.issue.renewal import planned
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import OK, IssueResponse
from nodetrust.names import name_for_peer
from nodetrust.store import OrderRequest, StoredCertificate, StoredOrder


def request_of(order: Order) -> OrderRequest:
    """What goes into the store. Two orders are the same if peer, names, algorithm and the CSR's key are."""
    key = b"" if order.csr is None else order.csr.public_key_der
    parts = (order.peer.multihash, " ".join(order.names).encode(), order.crypto.to_bytes(4, "big"), key)
    same = hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
    return OrderRequest(
        same, order.peer.multihash, order.names, order.crypto, None if order.csr is None else order.csr.der
    )


def certificate_of(order: StoredOrder, issued: IssuedCertificate) -> StoredCertificate:
    """What is kept of the certificate that came of an order."""
    chain = Chain.from_pem(issued.chain_pem)
    request = order.request
    return StoredCertificate(
        peer_id=request.peer_id,
        names=request.names,
        public_key_sha256=hashlib.sha256(public_key_der(chain.leaf.public_key())).digest(),
        crypto=request.crypto,
        certificate_pem=chain.leaf_pem,
        issuers_pem=chain.authorities_pem,
        not_before=chain.not_before,
        not_after=chain.not_after,
        from_csr=request.csr_der is not None,
        directory_url=order.directory_url,
    )


def response_with(certificate: StoredCertificate, zone: str, *, from_cache: bool) -> IssueResponse:
    """The answer to the peer, but for a key that was made here."""
    return IssueResponse(
        error=OK,
        cert=certificate.certificate_pem,
        chain=certificate.certificate_pem + certificate.issuers_pem,
        ca=certificate.issuers_pem,
        cn=name_for_peer(PeerId(certificate.peer_id), zone),
        altnames=sorted(certificate.names),
        validity=_ms(certificate.not_after),
        fromCache=from_cache,
        cryptoType=certificate.crypto,  # type: ignore[arg-type]  # an int is an enum here
        renewAt=_ms(planned(certificate)),
    )


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)
