"""Which CAs may sign for a name: CAA records, as a CA reads them. Pure.

https://www.rfc-editor.org/rfc/rfc8659, and https://www.rfc-editor.org/rfc/rfc8657 for the parameters of an issuer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from nodetrust.client.diagnosis.steps import Area, Outcome, Step
from nodetrust.client.lookup.wire import Record
from nodetrust.messages import CertificateAuthority

CRITICAL = 128
"""The flag that forbids whoever does not know the tag to issue (RFC 8659 §4.1)."""

KNOWN_TAGS = frozenset({"issue", "issuewild", "iodef", "contactemail", "contactphone", "issuevmc", "issuemail"})
"""IANA's registry of CAA property tags; those but the first two say nothing about certificates for names."""

OUR_METHODS = frozenset({"dns-01", "dns-persist-01"})
"""How the issue server shows the CA that it has the name."""

MAX_IDENTITIES = 8
"""Of a CA, that are compared; Let's Encrypt has one."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ISSUER = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_PARAMETER = re.compile(r"(?P<tag>[A-Za-z0-9-]+)[ \t]*=[ \t]*(?P<value>[\x21-\x3a\x3c-\x7e]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Property:
    """One CAA record."""

    critical: bool
    tag: str
    value: str

    @classmethod
    def from_bytes(cls, data: bytes) -> Property:
        """Read the record's data; what cannot be read is a critical tag that nobody knows."""
        if len(data) < 2 or len(data) < 2 + data[1]:
            return cls(True, "", "")
        end = 2 + data[1]
        tag = data[2:end].decode("ascii", "backslashreplace").lower()
        return cls(bool(data[0] & CRITICAL), tag, data[end:].decode("ascii", "backslashreplace"))


@dataclass(frozen=True, slots=True)
class Permission:
    """A CA that may sign, and on which conditions: none are `None`."""

    issuer: str
    account: str | None = None
    methods: frozenset[str] | None = None

    @property
    def fits(self) -> bool:
        """Whether a name may be validated in a way that an issue server uses."""
        return self.methods is None or bool(self.methods & OUR_METHODS)

    def __str__(self) -> str:
        conditions = [f"account {self.account}"] if self.account is not None else []
        if self.methods is not None:
            conditions.append(f"by {', '.join(sorted(self.methods)) or 'no method at all'}")
        return f"{self.issuer} ({'; '.join(conditions)})" if conditions else self.issuer


@dataclass(frozen=True, slots=True)
class Policy:
    """What the records at one name allow: `permissions` is None where any CA may sign."""

    permissions: tuple[Permission, ...] | None
    unknown: tuple[str, ...] = ()
    """Critical tags that no CA needs to know."""


def read_policy(records: Sequence[Record], *, wildcard: bool) -> Policy:
    """What CAA records of one name mean for it, or for a wildcard (RFC 8659 §4.2, §4.3)."""
    found = [Property.from_bytes(record.value) for record in records if isinstance(record.value, bytes)]
    unknown = tuple(one.tag for one in found if one.critical and one.tag not in KNOWN_TAGS)
    plain = [one.value for one in found if one.tag == "issue"]
    wild = [one.value for one in found if one.tag == "issuewild"]
    values = wild if wildcard and wild else plain
    if not values:
        return Policy(None, unknown)
    return Policy(tuple(filter(None, map(read_permission, values))), unknown)


def read_permission(value: str) -> Permission | None:
    """The CA that a property names; None for nobody, which a value with a fault means as well."""
    issuer, *rest = (part.strip(" \t") for part in value.split(";"))
    if rest == [""]:
        rest = []
    parameters = [_PARAMETER.fullmatch(part) for part in rest]
    if not _ISSUER.fullmatch(issuer) or not all(parameters):
        return None
    named = {match["tag"].lower(): match["value"] for match in parameters if match is not None}
    methods = named.get("validationmethods")
    return Permission(
        issuer.lower(),
        named.get("accounturi"),
        None if methods is None else frozenset(filter(None, methods.lower().split(","))),
    )


@dataclass(frozen=True, slots=True)
class Climbed:
    """The nearest records above `name`, which are those that count: at `owner`, which is None where there are none.

    `failure` says at which name the look-up failed, and how, so that nobody knows.
    """

    name: str
    owner: str | None = None
    records: tuple[Record, ...] = ()
    failure: str = ""


def judge_caa(climbed: Climbed, names: Sequence[str], *, wildcards: bool) -> list[Step]:
    """Of who may sign for `names`, which all have the same records; of wildcards apart, where they are wanted."""
    policies = {wildcard: read_policy(climbed.records, wildcard=wildcard) for wildcard in (False, True)}
    if not wildcards or policies[False] == policies[True]:
        del policies[True]
    return [_judge(climbed, names, policy, wildcard=wildcard) for wildcard, policy in policies.items()]


def _judge(climbed: Climbed, names: Sequence[str], policy: Policy, *, wildcard: bool) -> Step:
    owner = climbed.owner or "the root"
    title = f"for {owner}" if climbed.owner else "for this peer's names"
    facts: dict[str, object] = {
        "names": list(names),
        "owner": climbed.owner,
        "wildcard": wildcard,
        "issuers": None if policy.permissions is None else [_facts(one) for one in policy.permissions],
    }

    def step(outcome: Outcome, found: str, advice: str = "") -> Step:
        return Step(Area.CAA, title + (", wildcards" if wildcard else ""), outcome, found, advice, facts)

    if climbed.failure:
        advice = (
            "a CA that meets the same gives no certificate: see what the name servers on the way to the root answer"
        )
        return step(Outcome.WARN, f"cannot be looked up: {climbed.failure}", advice)
    if policy.unknown:
        tags = ", ".join(tag or "one that cannot be read" for tag in policy.unknown)
        advice = f"take the record out of {owner}, or its critical flag"
        return step(Outcome.FAIL, f"forbids every CA that does not know the tag {tags}, which is every one", advice)
    if policy.permissions is None:
        return step(Outcome.OK, "any CA may sign: no CAA record from these names up to the root says otherwise")
    if not policy.permissions:
        advice = (
            f'add a record such as CAA 0 issue "letsencrypt.org" at {owner}, with the name of the issue server\'s CA'
        )
        return step(Outcome.FAIL, f"nobody may sign: the CAA records at {owner} forbid every CA", advice)
    said = f"only {', '.join(map(str, policy.permissions))} may sign"
    unfit = [one.issuer for one in policy.permissions if not one.fits]
    if unfit:
        outcome = Outcome.FAIL if len(unfit) == len(policy.permissions) else Outcome.WARN
        advice = f"add dns-01 to validationmethods of {', '.join(unfit)} at {owner}: issue servers validate by DNS"
        return step(outcome, said, advice)
    return step(Outcome.OK, said)


@dataclass(frozen=True, slots=True)
class Orderer:
    """Who is to sign: what the CA is called in CAA records, and the account there of whoever orders, if it has one."""

    identities: tuple[str, ...]
    account: str | None = None

    @classmethod
    def from_message(cls, authority: CertificateAuthority) -> Orderer:
        """An issue server at one of its CAs."""
        identities = tuple(identity.lower() for identity in authority.caaIdentities[:MAX_IDENTITIES])
        return cls(identities, authority.account or None)


class Standing(Enum):
    """What the records mean for one CA and account; from good to bad."""

    MAY = "it may sign"
    OTHER_ACCOUNT = "it may sign for another account alone"
    OTHERS = "the CAA records name other CAs, and not this one"


def standing_of(permissions: Sequence[Permission], orderer: Orderer) -> Standing | None:
    """None where its CA has no name, or may validate in no way of ours, which is said of the records themselves."""
    if not orderer.identities:
        return None
    its = [one for one in permissions if one.issuer in orderer.identities]
    if not its:
        return Standing.OTHERS
    fitting = [one for one in its if one.fits]
    if not fitting:
        return None
    if all(one.account not in (None, orderer.account) for one in fitting):
        return Standing.OTHER_ACCOUNT
    return Standing.MAY


def judge_ca(climbed: Climbed, orderer: Orderer) -> Step | None:
    """Of this peer's own CA, for a wildcard; None where the records do not say, or anybody may sign."""
    permissions = read_policy(climbed.records, wildcard=True).permissions
    standing = standing_of(permissions, orderer) if permissions else None
    if permissions is None or standing is None:
        return None
    advice = {
        Standing.MAY: "",
        Standing.OTHERS: f"take one of {', '.join(one.issuer for one in permissions)} with --acme-directory",
        Standing.OTHER_ACCOUNT: (
            f"the operator of {climbed.owner} must take accounturi out of the record: each peer has its own account"
        ),
    }[standing]
    return _of_ca(climbed, orderer, standing, advice, others=False)


def judge_issuers_cas(climbed: Climbed, orderers: Sequence[Orderer], *, wildcards: bool) -> list[Step]:
    """Of the CAs of an issue server, one of which is enough."""
    kinds = (False, True) if wildcards else (False,)
    policies = [read_policy(climbed.records, wildcard=kind).permissions or () for kind in kinds]
    standings: dict[Orderer, Standing] = {}
    for orderer in orderers:
        found = [standing_of(permissions, orderer) for permissions in policies if permissions]
        if known := [one for one in Standing if one in found]:
            standings[orderer] = known[-1]
    others = Standing.MAY in standings.values()
    return [
        _of_ca(climbed, orderer, standing, _for_issuer(climbed, orderer, standing), others=others)
        for orderer, standing in standings.items()
    ]


def _for_issuer(climbed: Climbed, orderer: Orderer, standing: Standing) -> str:
    if standing is Standing.MAY:
        return ""
    if standing is Standing.OTHERS:
        return f'the operator of {climbed.owner} must add a record such as CAA 0 issue "{orderer.identities[0]}"'
    account = "" if orderer.account is None else f", {orderer.account},"
    return f"the operator of {climbed.owner} must put the issue server's account there{account} into the record"


def _of_ca(climbed: Climbed, orderer: Orderer, standing: Standing, advice: str, *, others: bool) -> Step:
    """`others`: another CA will do."""
    bad = Outcome.WARN if others else Outcome.FAIL
    outcome = Outcome.OK if standing is Standing.MAY else bad
    facts: dict[str, object] = {"identities": list(orderer.identities), "account": orderer.account}
    return Step(Area.CAA, f"{orderer.identities[0]} at {climbed.owner}", outcome, standing.value, advice, facts)


def _facts(permission: Permission) -> dict[str, object]:
    return {
        "issuer": permission.issuer,
        "accounturi": permission.account,
        "validationmethods": None if permission.methods is None else sorted(permission.methods),
    }


def parents(name: str) -> list[str]:
    """The name and those above it, as a CA climbs; the root is not asked."""
    labels = name.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]
