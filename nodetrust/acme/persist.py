"""dns-persist-01: a standing TXT record names the account that may order, so that an order writes nothing. Pure.

<https://datatracker.ietf.org/doc/draft-ietf-acme-dns-persist/>; the record's form is RFC 8659's issue-value.
"""

from datetime import datetime

from acme import challenges

PERSIST_TYPE = "dns-persist-01"
PERSIST_LABEL = "_validation-persist"
"""The record of `a.example` is at `_validation-persist.a.example`."""

_MAX_ISSUERS = 10  # the draft's limit


def persist_value(issuer: str, account_url: str, *, wildcard: bool = True, until: datetime | None = None) -> str:
    """The TXT value by which a zone lets the account order from the CA that is called `issuer` (as in CAA records).

    `wildcard`: names that begin with `*.` too. `until`: an aware datetime, after which the CA no longer accepts it.
    `ValueError` for what such a record cannot hold.
    """
    for part in (issuer, account_url):
        if not part or not all("!" <= character <= "~" and character != ";" for character in part):
            raise ValueError(f"not for a {PERSIST_TYPE} record: {part!r}")
    parts = [issuer, f"accounturi={account_url}"]
    parts += ["policy=wildcard"] if wildcard else []
    parts += [f"persistUntil={int(until.timestamp())}"] if until is not None else []
    return "; ".join(parts)


def is_for_account(challenge: challenges.Challenge, account_url: str | None) -> bool:
    """Whether this is a well-formed dns-persist-01 challenge that a record naming our account can meet."""
    if not isinstance(challenge, challenges.UnrecognizedChallenge):
        return False
    offered = challenge.jobj
    if offered.get("type") != PERSIST_TYPE or offered.get("accounturi", account_url) != account_url:
        return False
    issuers = offered.get("issuer-domain-names")
    return isinstance(issuers, list | tuple) and 1 <= len(issuers) <= _MAX_ISSUERS
