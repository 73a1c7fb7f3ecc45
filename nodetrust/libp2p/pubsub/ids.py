"""The three names that one message has: implementations disagree on how to make an ID out of author and number.

go-libp2p-pubsub takes the author's multihash and the eight bytes of the sequence number, js-libp2p the author's public
key (its protobuf) and those bytes, rust-libp2p the text of both. So an IHAVE or IWANT between two defaults never
matches, although eager forwarding works. We keep every message under all three IDs, answer in any of them, and speak
to each peer in the style in which it has spoken to us.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from nodetrust.libp2p.peer_id import PeerId

SEQNO_BYTES = 8
"""A sequence number is big-endian and has exactly this length (libp2p/specs pubsub)."""

_IDENTITY_HASH = b"\x00"
_MULTIHASH_PREFIXES = (b"\x00\x24\x08\x01", b"\x00\x25\x08\x02", b"\x12\x20")
_KEY_PREFIXES = (b"\x08\x00\x12", b"\x08\x01\x12", b"\x08\x02\x12", b"\x08\x03\x12")
_TEXT_PREFIXES = (b"12D3KooW", b"16Uiu2HA", b"Qm")


class IdStyle(enum.Enum):
    """Whose default a message ID follows."""

    GO = "multihash and bytes"
    JS = "public key and bytes"
    RUST = "base58 and decimal"


class MessageIds(NamedTuple):
    """All IDs of one message."""

    go: bytes
    js: bytes
    rust: bytes

    def in_style(self, style: IdStyle) -> bytes:
        """The one ID that implementations of this style know the message by."""
        if style is IdStyle.GO:
            return self.go
        return self.js if style is IdStyle.JS else self.rust


def message_ids(author: PeerId, seqno: bytes, key: bytes | None) -> MessageIds:
    """The IDs of the author's message with this number; `key` is the message's, for IDs that are only a hash of it.

    Without either there is no public key to make the js form of: it is the go form then.
    """
    source = author.multihash
    public_key = source[2:] if source.startswith(_IDENTITY_HASH) else key
    text = f"{author}{int.from_bytes(seqno, 'big')}"
    return MessageIds(source + seqno, (public_key or source) + seqno, text.encode("ascii"))


def style_of(message_id: bytes) -> IdStyle | None:
    """Whose style an ID has; `None` if it is nobody's default, so that we could never recompute it from a message."""
    if message_id.startswith(_TEXT_PREFIXES) and message_id.isalnum():
        return IdStyle.RUST
    if message_id.startswith(_MULTIHASH_PREFIXES):
        return IdStyle.GO
    return IdStyle.JS if message_id.startswith(_KEY_PREFIXES) else None
