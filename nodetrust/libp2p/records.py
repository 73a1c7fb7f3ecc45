"""Signed envelopes and the peer record in them (libp2p/specs RFC 0002 and 0003).

The domain and the payload type are those that go-libp2p and js-libp2p use, not the ones in RFC 0003's text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from nodetrust.libp2p import varint
from nodetrust.libp2p.errors import InvalidKey, InvalidMultiaddr, InvalidPeerId, InvalidRecord
from nodetrust.libp2p.keys import PrivateKey, PublicKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.pb import envelope_pb2, peer_record_pb2
from nodetrust.libp2p.peer_id import PeerId

PEER_RECORD_DOMAIN = "libp2p-peer-record"
PEER_RECORD_TYPE = b"\x03\x01"
"""multicodec 0x0301, big-endian and not a varint, as go and js write it."""

MAX_ENVELOPE_BYTES = 8 * 1024
"""go-libp2p and js-libp2p: the largest identify message, which carries the record."""

MAX_ADDRESSES = 128
"""Ours; addresses beyond it are not read."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a valid signature in the expected domain covered, and whose it is."""

    public_key: PublicKey
    payload_type: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """Where a peer says it can be reached; of two records the one with the higher ``seq`` counts."""

    peer_id: PeerId
    seq: int
    addresses: tuple[Multiaddr, ...]


def seal(key: PrivateKey, domain: str, payload_type: bytes, payload: bytes) -> bytes:
    """An envelope around *payload*, signed with *key* for *domain*."""
    return envelope_pb2.Envelope(
        public_key=key.public_key.to_protobuf(),
        payload_type=payload_type,
        payload=payload,
        signature=key.sign(_signed_bytes(domain, payload_type, payload)),
    ).SerializeToString(deterministic=True)


def open_envelope(data: bytes, domain: str) -> Envelope:
    """Read an envelope and check its signature for *domain*.

    :raise InvalidRecord: it does not parse, has a key that we do not take, or the signature is wrong.
    """
    if len(data) > MAX_ENVELOPE_BYTES:
        raise InvalidRecord(f"an envelope of {len(data)} bytes, allowed are {MAX_ENVELOPE_BYTES}")
    try:
        envelope = envelope_pb2.Envelope.FromString(data)
        key = PublicKey.from_protobuf(envelope.public_key)
    except (DecodeError, InvalidKey) as error:
        raise InvalidRecord(f"not a signed envelope: {error}") from None
    if not key.verify(envelope.signature, _signed_bytes(domain, envelope.payload_type, envelope.payload)):
        raise InvalidRecord(f"an envelope that is not signed for {domain}")
    return Envelope(key, envelope.payload_type, envelope.payload)


def seal_peer_record(key: PrivateKey, seq: int, addresses: Iterable[Multiaddr]) -> bytes:
    """The envelope with *key*'s peer record. *seq* must rise with each; others use the time in nanoseconds."""
    record = peer_record_pb2.PeerRecord(
        peer_id=key.peer_id.multihash,
        seq=seq,
        addresses=[peer_record_pb2.PeerRecord.AddressInfo(multiaddr=bytes(address)) for address in addresses],
    )
    return seal(key, PEER_RECORD_DOMAIN, PEER_RECORD_TYPE, record.SerializeToString(deterministic=True))


def open_peer_record(data: bytes) -> PeerRecord:
    """Read an envelope with a peer record that its own peer signed. Addresses that we can not read are left out.

    :raise InvalidRecord: anything else is wrong with it.
    """
    envelope = open_envelope(data, PEER_RECORD_DOMAIN)
    if envelope.payload_type != PEER_RECORD_TYPE:
        raise InvalidRecord(f"an envelope with {envelope.payload_type[:16].hex()} instead of a peer record")
    try:
        record = peer_record_pb2.PeerRecord.FromString(envelope.payload)
        peer_id = PeerId(record.peer_id)
    except (DecodeError, InvalidPeerId) as error:
        raise InvalidRecord(f"not a peer record: {error}") from None
    if peer_id != envelope.public_key.peer_id:
        raise InvalidRecord(f"a record of {peer_id} that is signed by {envelope.public_key.peer_id}")
    return PeerRecord(peer_id, record.seq, _readable(info.multiaddr for info in record.addresses[:MAX_ADDRESSES]))


def _readable(addresses: Iterable[bytes]) -> tuple[Multiaddr, ...]:
    """Those in protocols that we know: a peer may well speak more than we do."""
    known = []
    for address in addresses:
        try:
            known.append(Multiaddr.from_bytes(address))
        except InvalidMultiaddr:
            continue
    return tuple(known)


def _signed_bytes(domain: str, payload_type: bytes, payload: bytes) -> bytes:
    parts = (domain.encode(), payload_type, payload)
    return b"".join(varint.encode(len(part)) + part for part in parts)
