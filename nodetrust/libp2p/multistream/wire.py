"""One multistream-select message: `uvarint(length) || UTF-8 text || 0x0a`, where the length counts the newline."""

from __future__ import annotations

from nodetrust.libp2p import varint
from nodetrust.libp2p.errors import InvalidVarint, NegotiationError

HEADER = "/multistream/1.0.0"
"""What both sides say first."""

NOT_AVAILABLE = "na"
"""The listener's answer to a proposal that it refuses."""

MAX_MESSAGE_BYTES = 1024
"""Newline counted, length prefix not; go and js refuse more."""


def encode_message(text: str) -> bytes:
    """Raise ValueError for a text that no peer would take: empty, with a newline, or longer than a message may be."""
    body = text.encode() + b"\n"
    if not text or "\n" in text or len(body) > MAX_MESSAGE_BYTES:
        raise ValueError(f"not a protocol ID: {text!r}")
    return varint.encode(len(body)) + body


def take_message(buffer: bytearray) -> str | None:
    """Remove one message from the front of `buffer` and return its text; None while it is not all there.

    Raise NegotiationError as soon as the bytes can't become a message.
    """
    try:
        header = varint.decode(buffer)
    except InvalidVarint as error:
        raise NegotiationError(f"a multistream message begins with {error}") from None
    if header is None:
        return None
    length, begin = header
    if not 0 < length <= MAX_MESSAGE_BYTES:
        raise NegotiationError(f"a multistream message of {length} bytes, allowed are 1 to {MAX_MESSAGE_BYTES}")
    if len(buffer) < begin + length:
        return None
    body = bytes(buffer[begin : begin + length])
    del buffer[: begin + length]
    if not body.endswith(b"\n"):
        raise NegotiationError("a multistream message that does not end with a newline")
    try:
        return body[:-1].decode()
    except UnicodeDecodeError:
        raise NegotiationError("a multistream message that is not UTF-8") from None
