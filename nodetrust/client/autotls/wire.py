"""What goes to a broker and what comes back: values ⇄ JSON, and statuses into words. Pure.

p2p-forge's API: <https://github.com/ipshipyard/p2p-forge>, `acme/writer.go`; what goes beyond it is our broker's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nodetrust.client.autotls.errors import BrokerRefused, BrokerUnreachable
from nodetrust.client.errors import ObtainError
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import E_INVALID_PROOF, E_NOT_AUTHORIZED, E_OTHER, E_RATE_LIMIT, readable

REGISTRATION_PATH = "/v1/_acme-challenge"
HEALTH_PATH = "/v1/health"
STATUS_PATH = "/v1/status"
TOKEN_HEADER = "Forge-Authorization"  # noqa: S105  # a header's name

_NOT_DIALLED = "error testing addresses:"
_WORDS = 300  # characters of a broker's own words that are passed on


def registration_body(value: str, addresses: Sequence[Multiaddr]) -> bytes:
    """`value` is that of the TXT record; the addresses are without /p2p, for the request itself says whose they are."""
    return json.dumps({"value": value, "addresses": [str(one.without_peer_id()) for one in addresses]}).encode()


class InvalidStatus(NodetrustError):
    """What a broker tells of a peer makes no sense."""


@dataclass(frozen=True, slots=True)
class SetValue:
    """A challenge's value that a broker answers with."""

    value: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of an address that a broker has dialled; `fault` is its word for it, None where it met the peer."""

    address: str
    fault: str | None
    message: str


@dataclass(frozen=True, slots=True)
class DialBack:
    """The last time that a broker has dialled a peer."""

    at: datetime
    reached: bool
    tried: tuple[Tried, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """What a broker of ours tells of a peer, and of it alone. Texts may be anything, but they are readable."""

    values: tuple[SetValue, ...]
    dialback: DialBack | None


def read_status(body: bytes) -> Status:
    """Raises `InvalidStatus`."""
    try:
        told = json.loads(body)
        values = tuple(SetValue(_text(one["value"]), _time(one["until"])) for one in told["values"])
        dialback = told["dialback"]
        return Status(values, None if dialback is None else _dialback(dialback))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise InvalidStatus("tells of this peer what makes no sense") from None


def _dialback(told: dict[str, Any]) -> DialBack:
    tried = tuple(
        Tried(_text(one["address"]), None if one["fault"] is None else _text(one["fault"]), _text(one["message"]))
        for one in told["addresses"]
    )
    return DialBack(_time(told["at"]), told["reached"] is True, tried)


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return readable(value)


def unhealthy(url: str, status: int, retry_after_seconds: int | None) -> ObtainError:
    """What a health probe means that is not answered with 204."""
    if retry_after_seconds is not None:
        return BrokerRefused(
            f"the broker {url} is not well: status {status}", E_RATE_LIMIT, status, retry_after_seconds
        )
    return BrokerUnreachable(f"the broker {url} is not well: status {status}")


def refusal(url: str, status: int, body: bytes, retry_after_seconds: int | None) -> ObtainError:
    """What an answer to a registration means that is not 200."""
    said = readable(body.decode("utf-8", "replace")[:_WORDS]).strip()
    if 300 <= status < 400:
        return BrokerRefused(f"{url} redirects, which a broker has no use for", E_OTHER, status)
    code, text = _meaning(status, said)
    again = f"; it wants to be left alone for {retry_after_seconds} s" if retry_after_seconds is not None else ""
    words = f": {said}" if said else ""
    return BrokerRefused(f"the broker {url} {text} (status {status}){again}{words}", code, status, retry_after_seconds)


def _meaning(status: int, said: str) -> tuple[int, str]:
    if status == 400 and said.startswith(_NOT_DIALLED):
        return E_INVALID_PROOF, "could not connect to this peer at any of its addresses"
    if status == 403 and TOKEN_HEADER in said:
        return E_NOT_AUTHORIZED, "is for those who have its access token: set forge_token"
    if status in _MEANINGS:
        return _MEANINGS[status]
    return E_OTHER, "failed at its own end" if status >= 500 else "refused"


_MEANINGS = {
    400: (E_OTHER, "does not accept the request"),
    401: (E_NOT_AUTHORIZED, "does not accept this peer's signature"),
    403: (E_NOT_AUTHORIZED, "does not serve this peer"),
    404: (E_OTHER, "is none: nobody registers challenges at this URL"),
    405: (E_OTHER, "is none: nobody registers challenges at this URL"),
    413: (E_OTHER, "finds the request too large"),
    429: (E_RATE_LIMIT, "was asked too often"),
}
