"""Authorizations → the TXT values that prove control of their names. Pure. RFC 8555 §8.4."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from acme import challenges, messages
from josepy.jwk import JWK

from nodetrust.acme.errors import AcmeMisbehaved, AcmeRefused
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
class Dns01Challenge:
    """What is left to do for one authorization: publish `record`, then tell the CA at `url`."""

    record: Dns01Record
    url: str
    authorization_url: str
    answered: bool = False  # the CA was told before, and may be looking


def open_challenges(
    authorizations: Sequence[tuple[str, messages.Authorization]], names: Sequence[str], key: JWK, origin: Origin
) -> tuple[Dns01Challenge, ...]:
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
        found.append(_dns01(url, name, authorization, key, origin))
    return tuple(found)


def failure_of(authorization: messages.Authorization) -> Exception:
    """The error for an authorization that is invalid, expired, revoked or deactivated."""
    reason = next((body.error for body in authorization.challenges or () if body.error is not None), None)
    return problem_inside(f"authorization for {authorization.identifier.value}", reason)


def is_answered(authorization: messages.Authorization, challenge_url: str) -> bool:
    """Whether the CA was told to validate this challenge, or needs to no longer."""
    if authorization.status != messages.STATUS_PENDING:
        return True
    bodies = [body for body in authorization.challenges or () if body.uri == challenge_url]
    return any(body.status != messages.STATUS_PENDING for body in bodies)


def _dns01(url: str, name: str, authorization: messages.Authorization, key: JWK, origin: Origin) -> Dns01Challenge:
    for body in authorization.challenges or ():
        if isinstance(body.chall, challenges.DNS01):
            value = body.chall.validation(key)
            answered = body.status == messages.STATUS_PROCESSING
            return Dns01Challenge(Dns01Record(name, value), origin.check(body.uri), url, answered)
    raise AcmeRefused(f"the CA offers no dns-01 challenge for {name}")
