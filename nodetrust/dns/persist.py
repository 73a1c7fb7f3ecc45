"""`_validation-persist` records, by which a CA knows without a challenge that an ACME account may have certificates.

draft-ietf-acme-dns-persist. One answer for every name that may have challenges: whoever runs the zone trusts the
account with all of them, as the CA asks at each name by itself.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from nodetrust.dns.challenges.rights import is_certifiable
from nodetrust.dns.errors import BrokenLabel, ZoneError
from nodetrust.dns.labels import PERSIST_LABEL
from nodetrust.dns.records import Name, Node, node, text_rrset
from nodetrust.dns.zone.caa import check_caa_value

PERSIST_TTL = 300
"""Seconds that a resolver may keep them: an account that is taken away is no longer trusted soon after."""

MAX_VALUES = 8
"""Each CA has one, and two while an account is replaced."""

MAX_VALUE_BYTES = 1000


@dataclass(frozen=True, slots=True)
class PersistSource:
    """`_validation-persist.<name>` has the operator's values, wherever the name may have challenges."""

    origin: Name
    values: tuple[bytes, ...]
    names: AbstractSet[Name]
    """Further names, with the zone."""

    def lookup(self, labels: Name, now: float) -> Node | None:
        """A TXT record for each value."""
        if labels[0] != PERSIST_LABEL or not self._is_for(labels[1:]):
            return None
        return node(text_rrset(PERSIST_TTL, *self.values))

    def _is_for(self, labels: Name) -> bool:
        if (*labels, *self.origin) in self.names:
            return True
        try:
            return is_certifiable(labels)
        except BrokenLabel:  # of a host in the zone file
            return False


def check_persist_value(value: str) -> None:
    """Check what the operator wants to publish: a CA ignores what it cannot read. Raises ZoneError.

    It has the form of a CAA record's (RFC 8659 §4.2), with the account; each tag once, and nothing behind the last.
    """
    if not value.isascii() or len(value) > MAX_VALUE_BYTES:
        raise ZoneError(f"expected at most {MAX_VALUE_BYTES} ASCII characters")
    issuer, *parameters = value.split(";")
    if not issuer.strip(" \t"):
        raise ZoneError(f"{value!r} does not begin with the domain name of a CA")
    if not all(parameter.strip(" \t") for parameter in parameters):
        raise ZoneError(f"{value!r} has an empty parameter")
    try:
        check_caa_value(value)
    except ZoneError as error:
        raise ZoneError(str(error).removeprefix("CAA: ")) from None
    tags = {tag.strip(" \t").lower(): text.strip(" \t") for tag, _, text in (one.partition("=") for one in parameters)}
    if len(tags) < len(parameters):
        raise ZoneError(f"{value!r} has a parameter twice")
    if "accounturi" not in tags:
        raise ZoneError(f"{value!r} does not say whose account: accounturi=URL")
    if not tags.get("persistuntil", "0").isdecimal():
        raise ZoneError(f"{value!r}: persistUntil is in seconds since 1970")
