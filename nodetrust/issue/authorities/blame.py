"""Whose fault an error of an order was, and so what is done about it. Pure."""

from __future__ import annotations

import enum
from collections.abc import Collection

from nodetrust.acme import (
    AcmeAccountRefused,
    AcmeError,
    AcmeMisbehaved,
    AcmeProblem,
    AcmeRateLimited,
    AcmeRefused,
    AcmeServerTrouble,
    AcmeTimedOut,
    AcmeUnreachable,
    AcmeUsageError,
    AcmeValidationFailed,
)

_ABOUT_THE_REQUEST = frozenset(
    {"badCSR", "badPublicKey", "compound", "malformed", "rejectedIdentifier", "unsupportedIdentifier"}
)
"""Kinds of problems that another request may not meet. What has no kind, or another one, meets everybody:
`unauthorized` for an account that was deactivated, `invalidProfile`, a page of HTML with 403."""

_EXACT_SET = "exact set of"
"""Let's Encrypt's words where it has signed for these very names too often; nothing else of its answer tells."""


class Blame(enum.Enum):
    """Whose fault it was."""

    CA = "whoever asks next would fail too: it is left alone for a while"
    REQUEST = "these names or this key: the CA is not asked for them again at once"


def blame(error: AcmeError, names: Collection[str]) -> Blame:
    """Whose fault an order for `names` that ended with this error was."""
    if isinstance(error, AcmeValidationFailed | AcmeUsageError):
        return Blame.REQUEST
    if isinstance(error, AcmeRefused | AcmeAccountRefused):
        return Blame.REQUEST if error.kind in _ABOUT_THE_REQUEST else Blame.CA
    if isinstance(error, AcmeRateLimited):
        return Blame.REQUEST if _is_about(str(error), names) else Blame.CA
    return Blame.CA


def leaves_order_open(error: AcmeError) -> bool:
    """Whether an order that the CA has taken may still become a certificate after this error.

    An answer that makes no sense (HTML, half a JSON, a redirect) is mostly of somebody in between.
    """
    return isinstance(error, AcmeUnreachable | AcmeTimedOut | AcmeServerTrouble | AcmeRateLimited | AcmeMisbehaved)


def is_no(error: AcmeError) -> bool:
    """Whether the CA has answered, and surely not done what it was asked."""
    return isinstance(error, AcmeProblem) and not isinstance(error, AcmeServerTrouble)


def _is_about(text: str, names: Collection[str]) -> bool:
    """Whether a limit is one of these names: then one peer's limit must not stop the CA for all others.

    A CA names what it limits. The registered domain is a limit of all, and is none of the names.
    """
    quoted = text.replace('"', " ").replace("'", " ").replace(":", " ").replace(",", " ").split()
    return _EXACT_SET in text or not set(names).isdisjoint(quoted)
