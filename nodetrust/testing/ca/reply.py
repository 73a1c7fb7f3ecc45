"""What the front end's parts share: the CA they belong to, a checked request, an answer. Pure."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from josepy.errors import Error as JoseError
from josepy.json_util import decode_b64jose

from nodetrust.testing.ca.ca import CertificateAuthority
from nodetrust.testing.ca.db import Account, Database
from nodetrust.testing.ca.problems import Problem
from nodetrust.testing.ca.settings import CASettings


@dataclass(frozen=True, slots=True)
class CAContext:
    """The CA behind `base_url` (`https://host:port`). `validate(id)` shall begin to validate an authorization.

    `seconds` is the time of day, since 1970.
    """

    base_url: str
    database: Database
    authority: CertificateAuthority
    settings: CASettings
    seconds: Callable[[], float]
    random: Random
    validate: Callable[[str], None]

    def url(self, rest: str) -> str:
        """The URL of a resource of this CA."""
        return f"{self.base_url}/{rest}"

    def now(self) -> datetime:
        """The time of day."""
        return datetime.fromtimestamp(self.seconds(), UTC)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was signed by a known account."""

    account_id: str
    account: Account
    argument: str  # the last part of the path
    payload: bytes

    def object(self) -> dict[str, object]:
        """The payload as a JSON object; `Problem` if it is none."""
        return json_object(self.payload)

    def expect_empty(self) -> None:
        """`Problem` unless this is a POST-as-GET."""
        if self.payload != b"":
            raise Problem("malformed", "this resource is read with an empty payload")


Route = Callable[[Call], Reply]
"""A resource's answer to a request that was signed by a known account."""


def json_object(payload: bytes) -> dict[str, object]:
    """A payload that is a JSON object; `Problem` if it is none."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Problem("malformed", "the payload is not JSON") from error
    if not isinstance(found, dict):
        raise Problem("malformed", "the payload is not a JSON object")
    return found


def json_reply(document: Mapping[str, object], status: int = 200, **headers: str) -> Reply:
    """A JSON answer; an underscore in a header's name stands for a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(document).encode(), {"Content-Type": "application/json", **named})


def base64_bytes(text: object) -> bytes:
    """Octets of a base64url text; `Problem` for anything else."""
    try:
        if isinstance(text, str):
            decoded: bytes = decode_b64jose(text)
            return decoded
    except (JoseError, ValueError):
        pass
    raise Problem("malformed", "this is not base64url")


def rfc3339(seconds: float) -> str:
    """A time of day as ACME writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
