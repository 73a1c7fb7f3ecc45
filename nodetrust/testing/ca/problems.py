"""The problems that the CA answers with, in one table. Pure. RFC 8555 §6.7."""

import json
from collections.abc import Mapping

PREFIX = "urn:ietf:params:acme:error:"
MEDIA_TYPE = "application/problem+json"

STATUS: Mapping[str, int] = {
    "accountDoesNotExist": 400,
    "alreadyReplaced": 409,
    "alreadyRevoked": 400,
    "badCSR": 400,
    "badNonce": 400,
    "badPublicKey": 400,
    "badSignatureAlgorithm": 400,
    "dns": 400,
    "invalidProfile": 400,
    "malformed": 400,
    "orderNotReady": 403,
    "rateLimited": 429,
    "rejectedIdentifier": 400,
    "unauthorized": 403,
    "unsupportedContact": 400,
    "unsupportedIdentifier": 400,
    "userActionRequired": 403,
}
"""Problem type → the HTTP status that goes with it."""


class Problem(Exception):
    """A refusal; `kind` is a key of `STATUS`, `detail` is for people; `status` where the table's does not fit."""

    def __init__(self, kind: str, detail: str, status: int | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.status = STATUS[kind] if status is None else status

    def document(self) -> dict[str, object]:
        """The JSON object of RFC 7807."""
        return {"type": PREFIX + self.kind, "detail": self.detail, "status": self.status}

    def body(self) -> bytes:
        """The document as it is sent."""
        return json.dumps(self.document()).encode()
