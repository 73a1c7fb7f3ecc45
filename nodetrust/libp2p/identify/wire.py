"""An Identify message as a value and as bytes (libp2p/specs `identify/README.md`, go-libp2p `identify.proto`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from google.protobuf.message import DecodeError

from nodetrust.libp2p.errors import InvalidData
from nodetrust.libp2p.keys import PublicKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.pb import identify_pb2

IDENTIFY = "/ipfs/id/1.0.0"
PUSH = "/ipfs/id/push/1.0.0"

MAX_MESSAGE_BYTES = 8 * 1024
"""What go-libp2p and js-libp2p accept of one message."""
MAX_MESSAGES = 10
"""How many messages go-libp2p and js-libp2p merge."""
SPLIT_BYTES = 2 * 1024
"""Above this the signed record goes into a message of its own, as in go: rust reads the first 4 KiB message only."""
MAX_ADDRESSES = 64
"""Listen addresses kept of a peer. Ours: more than 500 would fit into the messages."""
MAX_PROTOCOLS = 512
"""Protocols kept of a peer. Ours."""


@dataclass(frozen=True, slots=True)
class Identify:
    """What a peer says about itself. Everything may be missing; nothing is verified but the public key."""

    public_key: PublicKey | None = None
    listen_addresses: tuple[Multiaddr, ...] = ()
    protocols: tuple[str, ...] = ()
    observed_address: Multiaddr | None = None
    """Where the sender sees the receiver."""
    protocol_version: str = ""
    agent_version: str = ""
    signed_record: bytes = b""
    """A serialized envelope with a peer record, as it came."""


def encode(identify: Identify) -> list[bytes]:
    """One message, or two if the signed record would make the first one longer than SPLIT_BYTES."""
    whole = _to_protobuf(identify)
    if not identify.signed_record or len(whole) <= SPLIT_BYTES:
        return [whole]
    return [
        _to_protobuf(replace(identify, signed_record=b"")),
        _to_protobuf(Identify(signed_record=identify.signed_record)),
    ]


def decode(messages: Iterable[bytes]) -> Identify:
    """The value that the messages, merged, stand for; addresses of kinds that we don't know are left out.

    Raises InvalidData for bytes that are no Identify message, or a public key that we don't take.
    """
    merged = identify_pb2.Identify()
    try:
        for message in messages:
            merged.MergeFromString(message)
    except DecodeError as reason:
        raise InvalidData(f"not an Identify message: {reason}") from reason
    return Identify(
        public_key=PublicKey.from_protobuf(merged.publicKey) if merged.publicKey else None,
        listen_addresses=tuple(_known(merged.listenAddrs[:MAX_ADDRESSES])),
        protocols=tuple(merged.protocols[:MAX_PROTOCOLS]),
        observed_address=next(iter(_known([merged.observedAddr])), None) if merged.observedAddr else None,
        protocol_version=merged.protocolVersion,
        agent_version=merged.agentVersion,
        signed_record=merged.signedPeerRecord,
    )


def update(known: Identify | None, pushed: Identify) -> Identify:
    """What is known after a push: a field that it lacks is unchanged."""
    if known is None:
        return pushed
    return Identify(
        public_key=pushed.public_key or known.public_key,
        listen_addresses=pushed.listen_addresses or known.listen_addresses,
        protocols=pushed.protocols or known.protocols,
        observed_address=pushed.observed_address or known.observed_address,
        protocol_version=pushed.protocol_version or known.protocol_version,
        agent_version=pushed.agent_version or known.agent_version,
        signed_record=pushed.signed_record or known.signed_record,
    )


def _to_protobuf(identify: Identify) -> bytes:
    # A field that is not set must be absent, not empty: in a push, absent means unchanged.
    message = identify_pb2.Identify(
        publicKey=identify.public_key.to_protobuf() if identify.public_key else None,
        listenAddrs=[bytes(address) for address in identify.listen_addresses],
        protocols=identify.protocols,
        observedAddr=bytes(identify.observed_address) if identify.observed_address else None,
        protocolVersion=identify.protocol_version or None,
        agentVersion=identify.agent_version or None,
        signedPeerRecord=identify.signed_record or None,
    )
    return message.SerializeToString(deterministic=True)


def _known(addresses: Sequence[bytes]) -> Iterable[Multiaddr]:
    for address in addresses:
        try:
            yield Multiaddr.from_bytes(address)
        except InvalidData:
            continue
