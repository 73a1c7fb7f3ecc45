"""What the issue server refuses, and the error number that says so on the wire."""

from __future__ import annotations

from nodetrust.errors import NodetrustError
from nodetrust.messages import E_OTHER, IssueResponse


class Refusal(NodetrustError):
    """A request that gets no certificate.

    `code` is the number of the protocol's `Error`; the text is for the person behind the peer; `retry_after_seconds`
    says when it is worth to ask again, if that is known.
    """

    def __init__(self, code: int, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_seconds = retry_after_seconds

    def to_response(self) -> IssueResponse:
        """The message that tells the peer."""
        response = IssueResponse(error=self.code, message=str(self))  # type: ignore[arg-type]  # an int is an enum here
        if self.retry_after_seconds is not None:
            response.retryAfter = max(1, round(self.retry_after_seconds))
        return response


class Unavailable(Refusal):
    """Nothing is wrong with the request: the CA, a DNS server or the store failed, which the operator should know."""

    def __init__(self, message: str, code: int = E_OTHER, retry_after_seconds: float | None = None) -> None:
        super().__init__(code, message, retry_after_seconds)
