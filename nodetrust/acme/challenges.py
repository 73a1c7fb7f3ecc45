"""Authorizations → what proves control of their names. Pure. RFC 8555 §8.4 (dns-01), and `persist`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from acme import challenges, messages
from josepy.jwk import JWK

from nodetrust.acme.errors import AcmeMisbehaved, AcmeRefused
from nodetrust.acme.persist import is_for_account
from nodetrust.acme.problems import problem_inside
from nodetrust.acme.urls import Origin

ChallengeType = Literal["dns-01", "dns-persist-01"]


class Dns01Record(NamedTuple):
    """A TXT value to publish. `fqdn` is the name to be proved, with neither `_acme-challenge.` nor `*.` in front.

    Two records of one order can have the same `fqdn` (a name and the wildcard below it): both values must be served.
    """

    fqdn: str
    value: str

    @property
    def record_name(self) -> str:
        """The name that the CA asks for."""
        return f"{challenges.DNS01.LABEL}.{self.fqdn}"


@dataclass(frozen=True, slots=True)
class OpenChallenge:
    """What is left to do for one authorization: publish `record`, if there is one, then tell the CA at `url`."""

    name: str
    record: Dns01Record | None
    url: str
    authorization_url: str
    answered: bool = False  # the CA was told before, and may be looking


@dataclass(frozen=True, slots=True)
class Prover:
    """The account that proves, and which challenge it prefers."""

    key: JWK
    account_url: str | None
    origin: Origin
    challenge: ChallengeType = "dns-01"


def open_challenges(
    authorizations: Sequence[tuple[str, messages.Authorization]], names: Sequence[str], prover: Prover
) -> tuple[OpenChallenge, ...]:
    """The challenges of the authorizations (with their URLs) that are not valid yet.

    Raises `AcmeMisbehaved` for an authorization of a name that is not in the order, `AcmeProblem` for one that can no
    longer become valid or offers no dns-01.
    """
    allowed = {name.removeprefix("*.") for name in names}
    found = []
    for url, authorization in authorizations:
        name = authorization.identifier.value.removeprefix("*.")
        if name not in allowed:
            raise AcmeMisbehaved("the CA wants a proof for a name that was not ordered")
        if authorization.status == messages.STATUS_VALID:
            continue
        if authorization.status != messages.STATUS_PENDING:
            raise failure_of(authorization)
        found.append(_chosen(url, name, authorization, prover))
    return tuple(found)


def failure_of(authorization: messages.Authorization) -> Exception:
    """The error for an authorization that is invalid, expired, revoked or deactivated."""
    reason = next((body.error for body in authorization.challenges or () if body.error is not None), None)
    return problem_inside(f"the CA made the authorization for {authorization.identifier.value} invalid", reason)


def failed_try(authorization: messages.Authorization, challenge_url: str) -> Exception | None:
    """Why the CA has not found the proof, where it leaves it to us to have it look again. RFC 8555 §8.2."""
    for body in authorization.challenges or ():
        if body.uri == challenge_url and body.status == messages.STATUS_PENDING and body.error is not None:
            what = f"the CA has not found the proof for {authorization.identifier.value}"
            return problem_inside(what, body.error)
    return None


def is_answered(authorization: messages.Authorization, challenge_url: str) -> bool:
    """Whether the CA was told to validate this challenge, or needs to no longer."""
    if authorization.status != messages.STATUS_PENDING:
        return True
    bodies = [body for body in authorization.challenges or () if body.uri == challenge_url]
    return any(body.status != messages.STATUS_PENDING for body in bodies)


def _chosen(url: str, name: str, authorization: messages.Authorization, prover: Prover) -> OpenChallenge:
    bodies = authorization.challenges or ()
    by_zone = [body for body in bodies if is_for_account(body.chall, prover.account_url)]
    by_value = [body for body in bodies if isinstance(body.chall, challenges.DNS01)]
    begun = [body for body in by_zone + by_value if body.status == messages.STATUS_PROCESSING]
    for body in begun + (by_zone if prover.challenge == "dns-persist-01" else []) + by_value:
        record = Dns01Record(name, body.chall.validation(prover.key)) if body in by_value else None
        return OpenChallenge(name, record, prover.origin.check(body.uri), url, body in begun)
    raise AcmeRefused(f"the CA offers no {prover.challenge} challenge for {name}")
