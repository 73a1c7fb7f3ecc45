"""Bodies ⇄ values. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nodetrust.broker.errors import Refusal, Tried

CHALLENGE_PATH = b"/v1/_acme-challenge"

MAX_BODY_BYTES = 32 * 1024
"""Room for `MAX_ADDRESSES` with certificate hashes and names; p2p-forge reads without end. Ours."""

BAD_REQUEST = 400

_VALUE_CHARACTERS = 43
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Registration:
    """What a node wants: `value` (base64url of a SHA-256) at its name, and where it says that it can be dialled."""

    value: str
    addresses: tuple[str, ...]


def read_registration(body: bytes) -> Registration:
    """The body of a registration. Keys are in any case: js-libp2p begins them with capitals. Raises `Refusal`."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _undecodable(str(error) or "nested too deeply") from None
    if not isinstance(fields, dict):
        raise _undecodable("expected an object")
    value: Any = ""
    addresses: Any = ()
    for key, content in fields.items():
        if key.lower() == "value":
            value = content
        elif key.lower() == "addresses":
            addresses = content
        else:
            raise _undecodable(f"unknown field {json.dumps(key[:80])}")
    if not isinstance(value, str | None):
        raise _undecodable("value: expected text")
    if addresses is not None and not (_is_list(addresses) and all(isinstance(one, str) for one in addresses)):
        raise _undecodable("addresses: expected an array of text")
    return Registration(_checked(value or ""), tuple(addresses or ()))


def refusal_text(refusal: Refusal) -> str:
    """As p2p-forge writes it."""
    return f"{refusal}\n"


def refusal_json(refusal: Refusal) -> dict[str, Any]:
    """For who asks for it."""
    return {
        "status": refusal.status,
        "message": str(refusal),
        **({} if refusal.retry_after is None else {"retryAfter": refusal.retry_after}),
        **({"addresses": tried_json(refusal.tried)} if refusal.tried else {}),
    }


def tried_json(tried: Sequence[Tried]) -> list[dict[str, Any]]:
    """What became of each address."""
    return [{"address": one.address, "fault": one.fault, "message": one.message} for one in tried]


def to_time(seconds: float) -> str:
    """RFC 3339, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def _undecodable(reason: str) -> Refusal:
    return Refusal(BAD_REQUEST, f"error decoding body: {reason}")


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _checked(value: str) -> str:
    if not _BASE64URL.fullmatch(value) or len(value) % 4 == 1:
        raise Refusal(BAD_REQUEST, "error decoding value as base64url: it is none")
    if len(value) != _VALUE_CHARACTERS:
        raise Refusal(BAD_REQUEST, "value is not a base64url of a SHA256 digest")
    return value
