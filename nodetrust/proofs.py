"""Make and check a proof: a proof server's signed word for the addresses that it saw a peer come from. Pure.

The signature covers the bytes of the ``Proof`` as they stand in the ``ProofWrapper``; they are never encoded anew.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import TypeAlias

from nodetrust.errors import NodetrustError
from nodetrust.libp2p.keys import PrivateKey, PublicKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import Address, InvalidMessage, IPv4, IPv6, Proof, ProofWrapper, parse

IPAddress: TypeAlias = IPv4Address | IPv6Address

VALID_MS = 5 * 60 * 1000
"""A proof's time and the checker's clock may differ by so much, either way, inclusive (nodetrust 2018)."""

MAX_ADDRESSES = 8
"""Ours: a proof server sees one address a connection, a peer has few."""

MAX_NONCE_BYTES = 64
"""Ours: nonces have 16 bytes."""


class Reason(enum.Enum):
    """Why a proof is refused; the value is what a person reads."""

    NOT_SIGNED_BY_TRUSTED = "it is not signed by a trusted proof server"
    MALFORMED = "it is not a proof"
    OTHER_PEER = "it was made for another peer"
    OTHER_ISSUER = "it was made for another issue server"
    NO_NONCE = "it has no nonce"
    UNKNOWN_NONCE = "its nonce is unknown, used or too old"
    EXPIRED = "it is too old"
    FROM_THE_FUTURE = "it is from the future"
    NO_ADDRESSES = "it has no addresses"
    TOO_MANY_ADDRESSES = "it has too many addresses"
    MALFORMED_ADDRESS = "it has an address that is none"
    IPV4_MAPPED = "it has an IPv4-mapped IPv6 address"


class InvalidProof(NodetrustError):
    """A proof that proves nothing, and the ``reason``."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Proven:
    """What a valid proof says: the addresses, each once, who said it, and the nonce that it used up."""

    addresses: tuple[IPAddress, ...]
    signer: PeerId
    nonce: bytes | None


def make_proof(
    key: PrivateKey,
    peer_id: PeerId,
    addresses: Iterable[IPAddress],
    now_ms: int,
    *,
    issuer: bytes | None = None,
    nonce: bytes | None = None,
) -> ProofWrapper:
    """The word of *key*'s server, at *now_ms* (milliseconds since the epoch), that *peer_id* was seen at *addresses*.

    *issuer* (a multihash) and *nonce* bind the proof to one request at one issue server.
    """
    proof = Proof(
        id=peer_id.multihash,
        timestamp=now_ms,
        addrs=[Address(type=IPv4 if ip.version == 4 else IPv6, address=str(ip)) for ip in addresses],
        issuer=issuer,
        nonce=nonce,
    ).SerializeToString(deterministic=True)
    return ProofWrapper(proof=proof, signature=key.sign(proof))


def check_proof(
    wrapper: ProofWrapper,
    *,
    trusted: Mapping[PeerId, PublicKey],
    peer_id: PeerId,
    now_ms: int,
    issuer: PeerId,
    nonces: Collection[bytes] = (),
    require_nonce: bool = False,
) -> Proven:
    """What *wrapper* proves to *issuer*, at *now_ms*, about *peer_id*, which must be the authenticated peer.

    *trusted* are the proof servers, *nonces* those given to this peer and not used yet. A proof without issuer and
    nonce (2018) is good unless *require_nonce*. Whether the addresses are public is not asked here.

    :raise InvalidProof: with the first reason, in the order of :class:`Reason`.
    """
    signer = _signer(wrapper, trusted)
    try:
        proof = parse(Proof, wrapper.proof)
    except InvalidMessage as error:
        raise InvalidProof(Reason.MALFORMED, str(error)) from None
    if not hmac.compare_digest(proof.id, peer_id.multihash):
        raise InvalidProof(Reason.OTHER_PEER)
    if proof.HasField("issuer") and not hmac.compare_digest(proof.issuer, issuer.multihash):
        raise InvalidProof(Reason.OTHER_ISSUER)
    nonce = proof.nonce if proof.HasField("nonce") else None
    if nonce is None and require_nonce:
        raise InvalidProof(Reason.NO_NONCE)
    if nonce is not None and nonce not in nonces:
        raise InvalidProof(Reason.UNKNOWN_NONCE)
    _check_time(proof.timestamp, now_ms)
    return Proven(_addresses(proof), signer, nonce)


def _signer(wrapper: ProofWrapper, trusted: Mapping[PeerId, PublicKey]) -> PeerId:
    """Who signed. A proof does not say so: every trusted key is tried."""
    for peer_id, key in trusted.items():
        if key.verify(wrapper.signature, wrapper.proof):
            return peer_id
    raise InvalidProof(Reason.NOT_SIGNED_BY_TRUSTED)


def _check_time(timestamp_ms: int, now_ms: int) -> None:
    age_ms = now_ms - timestamp_ms
    if age_ms > VALID_MS:
        raise InvalidProof(Reason.EXPIRED, f"made {age_ms / 1000:.0f} seconds ago by the clock here")
    if age_ms < -VALID_MS:
        raise InvalidProof(Reason.FROM_THE_FUTURE, f"made {-age_ms / 1000:.0f} seconds ahead of the clock here")


def _addresses(proof: Proof) -> tuple[IPAddress, ...]:
    if not proof.addrs:
        raise InvalidProof(Reason.NO_ADDRESSES)
    if len(proof.addrs) > MAX_ADDRESSES:
        raise InvalidProof(Reason.TOO_MANY_ADDRESSES, f"{len(proof.addrs)}, allowed are {MAX_ADDRESSES}")
    return tuple(dict.fromkeys(_read_address(address) for address in proof.addrs))


def _read_address(address: Address) -> IPAddress:
    text = address.address
    try:
        if address.type == IPv4:
            return IPv4Address(text)
        ip = IPv6Address(text)
    except AddressValueError:
        raise InvalidProof(Reason.MALFORMED_ADDRESS, repr(text[:80])) from None
    if ip.scope_id is not None:
        raise InvalidProof(Reason.MALFORMED_ADDRESS, repr(text[:80]))
    if ip.ipv4_mapped is not None:
        raise InvalidProof(Reason.IPV4_MAPPED, text)
    return ip
