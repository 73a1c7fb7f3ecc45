"""Why there is no certificate, or no client."""

from __future__ import annotations

from collections.abc import Sequence

from nodetrust.errors import NodetrustError


class AlreadyStarted(NodetrustError):
    """A client starts once: after `start` or `stop` another one is needed."""

    def __init__(self) -> None:
        super().__init__("this client has been started or stopped already, and starts only once")


class ObtainError(NodetrustError):
    """No certificate; the text says at which step, and why."""


class IssuerUnreachable(ObtainError):
    """The issue server could not be dialled, or did not answer."""


class NoProofs(ObtainError):
    """Not one proof server gave a proof."""


class Refused(ObtainError):
    """The issue server said no; `code` is its error number, `retry_after_seconds` when to ask again, if it said so."""

    def __init__(self, message: str, code: int, retry_after_seconds: int | None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after_seconds = retry_after_seconds


class OtherZone(ObtainError):
    """The issue server gives names in another zone than the certificate has."""


class OtherCertificate(ObtainError):
    """What the issue server would say is about another certificate than the one that is served."""


class NoIssuer(ObtainError):
    """None of several issue servers and brokers did it; `reasons` has what went wrong with each, in their order."""

    def __init__(self, reasons: Sequence[Exception]) -> None:
        super().__init__("no server did it: " + "; ".join(map(str, reasons)))
        self.reasons = tuple(reasons)
