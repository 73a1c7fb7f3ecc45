"""Make and check a proof: a proof server's signed word for the addresses that it saw a peer come from. Pure.

The signature covers the bytes of the ``Proof`` as they stand in the ``ProofWrapper``; they are never encoded anew.
"""

from __future__ import annotations

import enum
import hmac
from collections.abc import Container, Iterable, Mapping
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

    MALFORMED = "it is not a proof"
    OTHER_PEER = "it was made for another peer"
    OTHER_ISSUER = "it was made for another issue server"
    NO_NONCE = "it has no nonce"
    UNKNOWN_NONCE = "its nonce is unknown, used or too old"
    NO_ADDRESSES = "it has no addresses"
    TOO_MANY_ADDRESSES = "it has too many addresses"
    MALFORMED_ADDRESS = "it has an address that is none"
    IPV4_MAPPED = "it has an IPv4-mapped IPv6 address"
    NOT_SIGNED_BY_TRUSTED = "it is not signed by a trusted proof server"
    EXPIRED = "it is too old"
    FROM_THE_FUTURE = "it is from the future"


class InvalidProof(NodetrustError):
    """A proof that proves nothing, and the ``reason``."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason


class OutOfTime(InvalidProof):
    """A proof that is good but for its time: `ahead_ms` of the clock here, negative if behind, `signer` dated it."""

    def __init__(self, signer: PeerId, ahead_ms: int, nonce: bytes | None) -> None:
        reason = Reason.EXPIRED if ahead_ms < 0 else Reason.FROM_THE_FUTURE
        side = "behind" if ahead_ms < 0 else "ahead of"
        super().__init__(reason, f"{signer} dated it {abs(ahead_ms) / 1000:.0f} seconds {side} the clock here")
        self.signer = signer
        self.ahead_ms = ahead_ms
        self.nonce = nonce


@dataclass(frozen=True, slots=True)
class Proven:
    """What a valid proof says: the addresses, each once, and when; the key that signed it, and the nonce it used up."""

    addresses: tuple[IPAddress, ...]
    made_ms: int
    """By the clock of the proof server, in milliseconds since the epoch."""
    signer: PeerId
    """The key's ID, which need not be the proof server's own."""
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
    nonces: Container[bytes] = (),
    require_nonce: bool = False,
) -> Proven:
    """What *wrapper* proves to *issuer*, at *now_ms*, about *peer_id*, which must be the authenticated peer.

    *trusted* are the keys of proof servers, by ID; *nonces* those given to this peer and not used yet. A proof without
    issuer and nonce (2018) is good unless *require_nonce*. Whether the addresses are public is not asked here.

    :raise InvalidProof: with the first reason, in the order of :class:`Reason`: a signature, which costs, is looked at
        when nothing else is wrong; the time after it, because only a true proof says something about clocks.
    """
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
    addresses = _addresses(proof)
    signer = _signer(wrapper, trusted)
    if abs(proof.timestamp - now_ms) > VALID_MS:
        raise OutOfTime(signer, proof.timestamp - now_ms, nonce)
    return Proven(addresses, proof.timestamp, signer, nonce)


def _signer(wrapper: ProofWrapper, trusted: Mapping[PeerId, PublicKey]) -> PeerId:
    """Who signed. A proof does not say so: every trusted key is tried."""
    for key_id, key in trusted.items():
        if key.verify(wrapper.signature, wrapper.proof):
            return key_id
    raise InvalidProof(Reason.NOT_SIGNED_BY_TRUSTED)


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
