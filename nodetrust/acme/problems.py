"""The CA's problem documents: one table says what each type means to us. Pure. RFC 8555 §6.7, RFC 7807, RFC 9773 §7."""

import enum
from collections.abc import Mapping, Sequence

from acme import messages

from nodetrust.acme import errors
from nodetrust.acme.errors import AcmeError, AcmeProblem, Subproblem

_PREFIX = "urn:ietf:params:acme:error:"
_MAX_TEXT = 500  # characters of a CA's own words that we repeat
_MAX_SHOWN = 5  # subproblems in the text
_MAX_SUBPROBLEMS = 100  # as values: one for each name of the largest order


class Reaction(enum.Enum):
    """What to do after an error, in the words of the one who reads the table below."""

    GIVE_UP = "the same request will fail again"
    FRESH_NONCE = "sign again with another nonce, at once"
    REGISTER_AGAIN = "make the account again, then repeat"
    ORDER_AGAIN = "start a new order"
    WITHOUT_REPLACES = "order again without `replaces`"
    SOON = "repeat a few times, with growing pauses"
    LATER = "leave the CA alone for the time it says"


PROBLEMS: Mapping[str, tuple[type[AcmeProblem], Reaction]] = {
    "badNonce": (errors.AcmeBadNonce, Reaction.FRESH_NONCE),
    "accountDoesNotExist": (errors.AcmeAccountUnknown, Reaction.REGISTER_AGAIN),
    "rateLimited": (errors.AcmeRateLimited, Reaction.LATER),
    "serverInternal": (errors.AcmeServerTrouble, Reaction.SOON),
    "alreadyRevoked": (errors.AcmeAlreadyRevoked, Reaction.GIVE_UP),
    "alreadyReplaced": (errors.AcmeReplacesRefused, Reaction.WITHOUT_REPLACES),
    "orderNotReady": (errors.AcmeOrderNotReady, Reaction.GIVE_UP),
    "caa": (errors.AcmeValidationFailed, Reaction.GIVE_UP),
    "connection": (errors.AcmeValidationFailed, Reaction.GIVE_UP),
    "dns": (errors.AcmeValidationFailed, Reaction.GIVE_UP),
    "dnssec": (errors.AcmeValidationFailed, Reaction.GIVE_UP),
    "incorrectResponse": (errors.AcmeValidationFailed, Reaction.GIVE_UP),
    "tls": (errors.AcmeValidationFailed, Reaction.GIVE_UP),
    "unknownHost": (errors.AcmeValidationFailed, Reaction.GIVE_UP),
    "badPublicKey": (errors.AcmeAccountRefused, Reaction.GIVE_UP),
    "badSignatureAlgorithm": (errors.AcmeAccountRefused, Reaction.GIVE_UP),
    "externalAccountRequired": (errors.AcmeBindingRefused, Reaction.GIVE_UP),
    "invalidContact": (errors.AcmeAccountRefused, Reaction.GIVE_UP),
    "unsupportedContact": (errors.AcmeAccountRefused, Reaction.GIVE_UP),
    "userActionRequired": (errors.AcmeUserActionRequired, Reaction.GIVE_UP),
    "badCSR": (errors.AcmeRefused, Reaction.GIVE_UP),
    "badRevocationReason": (errors.AcmeRefused, Reaction.GIVE_UP),
    "compound": (errors.AcmeRefused, Reaction.GIVE_UP),
    "invalidProfile": (errors.AcmeRefused, Reaction.GIVE_UP),
    "malformed": (errors.AcmeRefused, Reaction.GIVE_UP),
    "rejectedIdentifier": (errors.AcmeRefused, Reaction.GIVE_UP),
    "unauthorized": (errors.AcmeRefused, Reaction.GIVE_UP),
    "unsupportedIdentifier": (errors.AcmeRefused, Reaction.GIVE_UP),
}
"""Types that are not here are judged by their HTTP status alone."""

_REACTIONS: Mapping[type[AcmeError], Reaction] = {
    **dict(PROBLEMS.values()),
    errors.AcmeOrderLost: Reaction.ORDER_AGAIN,
    errors.AcmeUnreachable: Reaction.SOON,
}


def reaction_to(error: AcmeError) -> Reaction:
    """What the client does about an error; errors without a row end the operation."""
    return _REACTIONS.get(type(error), Reaction.GIVE_UP)


def problem_of_response(
    status: int, retry_after_seconds: float | None, document: object, see: str | None = None
) -> AcmeProblem:
    """The error for an answer of 400 and above; `document` is its JSON body, None where that was none.

    `see`: the URL that a person shall visit, if the CA said one.
    """
    problem = document if isinstance(document, dict) else {}
    kind, parts = kind_of(problem), subproblems_of(problem)
    text = _text(problem, parts) or f"HTTP status {status} without an explanation"
    seen = see or problem.get("instance")
    if kind == "userActionRequired" and isinstance(seen, str):
        text = f"{text} (see {printable(seen)})"
    return _class_for(kind, status, retry_after_seconds)(
        f"the CA refused the request: {text}",
        kind=kind,
        status=status,
        retry_after_seconds=retry_after_seconds,
        subproblems=parts,
    )


def problem_inside(what: str, error: messages.Error | None) -> AcmeProblem:
    """The error for what has become of a resource: `"the CA made the order invalid"`."""
    problem = {} if error is None else error.to_json()
    kind, parts = kind_of(problem), subproblems_of(problem)
    text = _text(problem, parts) or "it gave no reason"
    found, _ = PROBLEMS.get(kind, (errors.AcmeValidationFailed, Reaction.GIVE_UP))
    # A CA reports a wrong TXT value so, step-ca by the second: inside an authorization that is a failed validation.
    validation = found is errors.AcmeRefused and kind in ("unauthorized", "rejectedIdentifier")
    return (errors.AcmeValidationFailed if validation else found)(f"{what}: {text}", kind=kind, subproblems=parts)


def subproblems_of(problem: Mapping[str, object]) -> tuple[Subproblem, ...]:
    """The well-formed ones among a problem's subproblems."""
    parts = problem.get("subproblems")
    if not isinstance(parts, list | tuple):
        return ()
    return tuple(_subproblem(part) for part in parts[:_MAX_SUBPROBLEMS] if isinstance(part, Mapping))


def kind_of(problem: Mapping[str, object]) -> str:
    """The ACME error type without its prefix; `""` for none and for types of other registries."""
    full = problem.get("type")
    return full.removeprefix(_PREFIX)[:64] if isinstance(full, str) and full.startswith(_PREFIX) else ""


def printable(text: object) -> str:
    """A CA's words made fit for a terminal and a log: one line, no control characters, bounded."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:_MAX_TEXT]).strip()


def _class_for(kind: str, status: int, retry_after_seconds: float | None) -> type[AcmeProblem]:
    if status == 404:
        return errors.AcmeOrderLost
    if status == 429 or (status == 503 and retry_after_seconds is not None):
        return errors.AcmeRateLimited
    if kind in PROBLEMS:
        return PROBLEMS[kind][0]
    return errors.AcmeServerTrouble if status >= 500 else errors.AcmeRefused


def _text(problem: Mapping[str, object], parts: Sequence[Subproblem]) -> str:
    own = printable(problem.get("detail") or problem.get("title") or "")
    inner = [f"{part.identifier or '?'}: {part.detail or part.kind}" for part in parts[:_MAX_SHOWN]]
    return printable("; ".join([*filter(None, [own]), *inner]))


def _subproblem(problem: Mapping[str, object]) -> Subproblem:
    identifier = problem.get("identifier")
    name = identifier.get("value") if isinstance(identifier, Mapping) else None
    return Subproblem(kind_of(problem), printable(problem.get("detail") or ""), printable(name or ""))
