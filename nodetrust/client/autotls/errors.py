"""Why AutoTLS gives no certificate. The text is one sentence for a person."""

from __future__ import annotations

from nodetrust.client.errors import IssuerUnreachable, NoProofs, ObtainError, Refused


class BrokerUnreachable(IssuerUnreachable):
    """The broker could not be dialled, is not healthy, or did not answer: the CA has heard nothing of it."""


class BrokerUntrusted(BrokerUnreachable):
    """The broker is there, but has no TLS certificate that is trusted here for its name."""


class BrokerRefused(Refused):
    """The broker said no; `status` is its HTTP status."""

    def __init__(self, message: str, code: int, status: int, retry_after_seconds: int | None = None) -> None:
        super().__init__(message, code, retry_after_seconds)
        self.status = status


class NoPlaces(NoProofs):
    """There is no address of this peer that a broker could connect to, or none yet: the router may still tell one."""


class NotReachable(ObtainError):
    """Others have tried, and cannot connect to this peer: so neither could the broker."""


class NotVisible(ObtainError):
    """The broker took the challenge's value, but the DNS does not answer with it."""


class AccountFileError(ObtainError):
    """The file with the ACME account cannot be read, written or understood; the text names it."""
