"""Renewal as the CA would have it (ARI). Pure. RFC 9773."""

from datetime import datetime
from typing import NamedTuple

from cryptography import x509

from nodetrust.acme.certificate import ari_id
from nodetrust.acme.errors import AcmeProblem, AcmeReplacesRefused, AcmeUsageError
from nodetrust.acme.wire import RenewalWindow

DEFAULT_CHECK_SECONDS = 21_600.0
"""RFC 9773 §4.3: every six hours where the CA says nothing."""

_CHECK_BOUNDS = (60.0, 86_400.0)  # of what a CA may ask for (RFC 9773 §4.3.1: a minute to a day)
_REFUSALS = ("malformed", "unauthorized")


class RenewalInfo(NamedTuple):
    """A certificate's renewal window, and how long the CA wants to be left alone about it."""

    window: RenewalWindow
    retry_after_seconds: float


def check_again_after(retry_after_seconds: float | None) -> float:
    """Seconds until the next question, from a Retry-After."""
    if retry_after_seconds is None:
        return DEFAULT_CHECK_SECONDS
    least, most = _CHECK_BOUNDS
    return min(max(retry_after_seconds, least), most)


def replaces(certificate_pem: bytes, now: datetime) -> str | None:
    """What `new_order` may say that it replaces, when this certificate is renewed; None where nothing.

    One that has expired is not replaced but reissued: CAs refuse to replace it, and it buys no exemption from limits.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
            return None
        return ari_id(certificate_pem)
    except (ValueError, AcmeUsageError):
        return None


def is_refusal_of_replaces(problem: AcmeProblem) -> bool:
    """Whether an order that was refused so may be accepted without its `replaces`. RFC 9773 §5 leaves it open."""
    return isinstance(problem, AcmeReplacesRefused) or problem.kind in _REFUSALS or problem.status == 409
