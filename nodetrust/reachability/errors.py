"""A question that is refused, and one that no server answers."""

from __future__ import annotations

import math

from nodetrust.errors import NodetrustError
from nodetrust.messages import CheckResponse, readable


class Refusal(NodetrustError):
    """Nothing of the request is checked; `code` is its error number, `retry_after_seconds` when to ask again."""

    def __init__(self, code: int, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_seconds = retry_after_seconds

    def to_response(self) -> CheckResponse:
        """The answer that says so."""
        retry = None if self.retry_after_seconds is None else math.ceil(self.retry_after_seconds)
        return CheckResponse(
            error=self.code,  # type: ignore[arg-type]  # an int is an enum here
            message=readable(str(self)),
            retryAfter=retry,
        )


class NotChecked(NodetrustError):
    """No server has said whether an address is reachable; the text says what each said instead."""
