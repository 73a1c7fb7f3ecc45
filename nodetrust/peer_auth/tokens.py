"""What the server must remember between two requests, handed to the client to bring back. Pure.

base64url of an HMAC-SHA256 and of the JSON that it covers, as go-libp2p makes them. Replicas need nothing but the key
in common.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.keys import PublicKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.peer_auth.errors import InvalidHeader
from nodetrust.peer_auth.wire import from_base64, to_base64

_MAC_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Opaque:
    """Goes with a challenge. `client`: who has begun by showing its key; none where the server has begun."""

    challenge_client: str
    hostname: str
    created: float
    """In seconds since the epoch."""
    client: PublicKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Whoever has it is `peer`, at this host."""

    peer: PeerId
    hostname: str
    created: float


def seal_opaque(key: bytes, opaque: Opaque) -> str:
    """The text that goes to the client."""
    client = opaque.client
    encoded = None if client is None else base64.b64encode(client.to_protobuf()).decode()
    return _seal(
        key,
        {
            **({} if encoded is None else {"client-public-key": encoded}),
            "challenge-client": opaque.challenge_client,
            "hostname": opaque.hostname,
            "created-time": _to_time(opaque.created),
        },
    )


def seal_bearer(key: bytes, bearer: Bearer) -> str:
    """The text that goes to the client."""
    return _seal(
        key,
        {
            "is-token": True,
            "peer-id": str(bearer.peer),
            "hostname": bearer.hostname,
            "created-time": _to_time(bearer.created),
        },
    )


def open_opaque(keys: Sequence[bytes], text: str) -> Opaque | None:
    """What the text says, if one of the keys has sealed it and it is an opaque."""
    said = _open(keys, text)
    if said is None or said.get("is-token"):
        return None
    try:
        encoded = said.get("client-public-key")
        return Opaque(
            challenge_client=said["challenge-client"],
            hostname=said["hostname"],
            created=_from_time(said["created-time"]),
            client=PublicKey.from_protobuf(base64.b64decode(encoded)) if encoded else None,
        )
    except (KeyError, TypeError, ValueError, Libp2pError):
        return None


def open_bearer(keys: Sequence[bytes], text: str) -> Bearer | None:
    """What the text says, if one of the keys has sealed it and it is a bearer."""
    said = _open(keys, text)
    if said is None or said.get("is-token") is not True:
        return None
    try:
        return Bearer(
            peer=PeerId.from_base58(said["peer-id"]),
            hostname=said["hostname"],
            created=_from_time(said["created-time"]),
        )
    except (KeyError, TypeError, ValueError, Libp2pError):
        return None


def _seal(key: bytes, said: dict[str, Any]) -> str:
    data = json.dumps(said, separators=(",", ":")).encode()
    return to_base64(_mac(key, data) + data)


def _open(keys: Sequence[bytes], text: str) -> dict[str, Any] | None:
    try:
        sealed = from_base64(text)
    except InvalidHeader:
        return None
    mac, data = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
    if not any(hmac.compare_digest(mac, _mac(key, data)) for key in keys):
        return None
    try:
        said = json.loads(data)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.sha256)


def _to_time(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")


def _from_time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
