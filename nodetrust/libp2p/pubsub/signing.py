"""StrictSign: every message names its author, carries a sequence number, and is signed (libp2p/specs pubsub).

The signature covers a fixed prefix and the message's canonical protobuf without `signature` **and without `key`**: the
specification leaves out the former only, go-, js- and rust-libp2p both.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from nodetrust.libp2p.errors import InvalidKey, InvalidPeerId
from nodetrust.libp2p.keys import PrivateKey, PublicKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub.errors import MessageInvalid
from nodetrust.libp2p.pubsub.ids import SEQNO_BYTES
from nodetrust.libp2p.pubsub.wire import Message, encode_message

SIGN_PREFIX = b"libp2p-pubsub:"

MAX_KEPT_KEYS = 1024
"""Authors whose parsed public keys are kept: parsing an Ed25519 key costs a tenth of verifying with it."""


def sign(key: PrivateKey, topic: str, data: bytes, seqno: int) -> Message:
    """Our message. The public key goes with it only if nobody could take it out of our peer ID."""
    peer_id = key.peer_id
    unsigned = Message(peer_id.multihash, data, seqno.to_bytes(SEQNO_BYTES, "big"), topic)
    shown_key = key.public_key.to_protobuf() if peer_id.inline_key is None else None
    return replace(unsigned, signature=key.sign(SIGN_PREFIX + encode_message(unsigned)), key=shown_key)


def author_of(message: Message) -> PeerId:
    """Who claims to have written the message; raise `MessageInvalid` if it has no usable author or sequence number.

    Cheap: what must be known before one may ask whether the message is new.
    """
    if message.source is None or message.seqno is None or message.signature is None:
        raise MessageInvalid("no author, sequence number or signature")
    if len(message.seqno) != SEQNO_BYTES:
        raise MessageInvalid(f"a sequence number of {len(message.seqno)} bytes")
    try:
        return PeerId(message.source)
    except InvalidPeerId as error:
        raise MessageInvalid(str(error)) from None


def check(message: Message) -> None:
    """Raise `MessageInvalid` unless the author has signed the message. Costs about 150 µs with Ed25519."""
    author = author_of(message)
    try:
        key = _public_key(author, message.key)
    except InvalidKey as error:
        raise MessageInvalid(str(error)) from None
    signed = SIGN_PREFIX + encode_message(replace(message, signature=None, key=None))
    if not key.verify(message.signature or b"", signed):
        raise MessageInvalid("a signature that does not match")


@lru_cache(MAX_KEPT_KEYS)
def _public_key(author: PeerId, shown: bytes | None) -> PublicKey:
    """The author's key, from the ID or from the message; a key that is shown must be the author's in any case."""
    if shown is None:
        inline = PublicKey.from_peer_id(author)
        if inline is None:
            raise MessageInvalid("no key, and the author's ID is only the hash of it")
        return inline
    key = PublicKey.from_protobuf(shown)
    if key.peer_id != author:
        raise MessageInvalid("a key that is not the author's")
    return key
