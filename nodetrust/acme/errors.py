"""What can go wrong with a CA, as few classes as a caller can act on."""

from dataclasses import dataclass


class AcmeError(Exception):
    """The root; its text is one line, printable, and fit to show to a person."""


class AcmeUsageError(AcmeError):
    """We were asked for what cannot be: a directory URL without https, a CSR whose names are not the order's."""


class AcmeUnreachable(AcmeError):
    """No answer came: no name, route or listener, untrusted TLS, or a broken connection. Worth another try later."""


class AcmeTimedOut(AcmeError):
    """The deadline of the whole operation passed, whatever it was busy with."""


class AcmeMisbehaved(AcmeError):
    """The CA's answer breaks RFC 8555 or one of our limits; another try is not expected to help."""


@dataclass(frozen=True, slots=True)
class Subproblem:
    """What the CA says of one identifier of a request (RFC 8555 §6.7.1); `identifier` is `""` where it names none."""

    kind: str  # the last part of the problem's type
    detail: str
    identifier: str


class AcmeProblem(AcmeError):
    """The CA answered with an error (RFC 8555 §6.7).

    `kind` is the last part of the problem's type (`"rateLimited"`), or `""` where the CA named none; `status` the HTTP
    status, 0 for a problem inside an authorization or an order. `subproblems` are those that the text shows, and more.
    """

    def __init__(
        self,
        text: str,
        *,
        kind: str = "",
        status: int = 0,
        retry_after_seconds: float | None = None,
        subproblems: tuple[Subproblem, ...] = (),
    ) -> None:
        super().__init__(text)
        self.kind = kind
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.subproblems = subproblems


class AcmeRefused(AcmeProblem):
    """The CA will not do this, and the same request will be refused again."""


class AcmeAccountRefused(AcmeProblem):
    """The CA will not have this account: an operator must act (contact, terms, external binding, key)."""


class AcmeUserActionRequired(AcmeAccountRefused):
    """The CA wants a person to visit a page, mostly to agree to new terms of service; the text has its URL."""


class AcmeBindingRefused(AcmeAccountRefused):
    """The CA wants an external account binding that we have not, or does not accept ours (RFC 8555 §7.3.4)."""


class AcmeAccountUnknown(AcmeProblem):
    """The CA does not know our account; it is made again by itself."""


class AcmeAlreadyRevoked(AcmeProblem):
    """The certificate was revoked before: what was wanted is so (RFC 8555 §7.6)."""


class AcmeValidationFailed(AcmeProblem):
    """The CA looked for the challenge and did not accept what it found."""


class AcmeOrderNotReady(AcmeProblem):
    """The order was finalized too early, or a second time."""


class AcmeOrderLost(AcmeProblem):
    """The CA no longer knows an order or something in it, as after a restart: order again."""


class AcmeServerTrouble(AcmeProblem):
    """The CA failed at its own end (5xx, `serverInternal`)."""


class AcmeBadNonce(AcmeProblem):
    """The nonce was stale; the request is signed again with the one that came with the refusal."""


class AcmeReplacesRefused(AcmeProblem):
    """The certificate named in `replaces` was replaced before (RFC 9773 §5)."""


class AcmeRateLimited(AcmeProblem):
    """Come back in `retry_after_seconds` (always set here)."""

    retry_after_seconds: float

    def __init__(
        self,
        text: str,
        *,
        kind: str = "",
        status: int = 0,
        retry_after_seconds: float | None = None,
        subproblems: tuple[Subproblem, ...] = (),
    ) -> None:
        super().__init__(text, kind=kind, status=status, subproblems=subproblems)
        self.retry_after_seconds = DEFAULT_RETRY_SECONDS if retry_after_seconds is None else retry_after_seconds


DEFAULT_RETRY_SECONDS = 3600.0
"""Where a CA sets a limit and does not say for how long: Let's Encrypt's shortest window is an hour."""
