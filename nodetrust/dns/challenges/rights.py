"""Who may set ACME challenges, and for which names (all pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from nodetrust.dns.challenges.table import Challenge
from nodetrust.dns.errors import BrokenLabel, ChallengeRefused
from nodetrust.dns.labels import CHALLENGE_LABEL, read_autotls_peer, read_label
from nodetrust.dns.records import MAX_NAME_BYTES, Name, is_within, name_to_text, name_to_wire, parse_name
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import E_NOT_AUTHORIZED, E_OTHER
from nodetrust.names import CHALLENGE_PREFIX

_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of a SHA-256


@dataclass(frozen=True, slots=True)
class Rights:
    """What the operator has settled."""

    admins: AbstractSet[PeerId]
    scopes: Mapping[PeerId, tuple[Name, ...]] = field(default_factory=dict)
    """An admin that is in here may only set challenges for these names and those below them."""
    names: AbstractSet[Name] = frozenset()
    """Names (zone included) that may have challenges besides those that spell an address or a peer."""

    def check_caller(self, caller: PeerId) -> None:
        """Raise ChallengeRefused unless `caller` may set challenges."""
        if caller not in self.admins:
            raise ChallengeRefused(E_NOT_AUTHORIZED, f"{caller} is not one of this server's admins")

    def check_scope(self, caller: PeerId, name: Name) -> None:
        """Raise ChallengeRefused unless this admin may set them for this name."""
        scopes = self.scopes.get(caller)
        if scopes is not None and not any(is_within(name, scope) for scope in scopes):
            within = " and ".join(map(name_to_text, scopes))
            raise ChallengeRefused(
                E_NOT_AUTHORIZED, f"{name_to_text(name)}: {caller} may only set challenges within {within}"
            )


def decide(origin: Name, fqdn: str, value: str, names: AbstractSet[Name] = frozenset()) -> Challenge:
    """The challenge that a DNS01Request is about, if this server may publish it.

    The name must be one that this server answers for by itself (`is_certifiable`), or one of `names`. Raises
    ChallengeRefused with the error number to answer.
    """
    try:
        name = parse_name(fqdn)
    except ValueError as error:
        raise ChallengeRefused(E_OTHER, f"not a name: {error}") from None
    if fqdn != name_to_text(name):
        raise ChallengeRefused(E_OTHER, f"{fqdn!r}: a name is in lower case and has no dot at its end")
    if len(name_to_wire((CHALLENGE_LABEL, *name))) > MAX_NAME_BYTES:
        raise ChallengeRefused(E_OTHER, f"{fqdn}: too long a name to put {CHALLENGE_PREFIX} in front")
    if not is_within(name, origin):
        raise ChallengeRefused(E_OTHER, f"{fqdn} is not in zone {name_to_text(origin)}")
    if name not in names:
        _check_labels(name[: len(name) - len(origin)], fqdn)
    if _VALUE.fullmatch(value) is None:
        raise ChallengeRefused(E_OTHER, "the value is not 43 characters of base64url")
    return Challenge(name, value.encode("ascii"))


def is_certifiable(labels: Name) -> bool:
    """Whether the name with these labels in front of the zone's is one that peers may get certificates for.

    Its first label spells an address or a peer ID (for the wildcard of a peer the CA asks at the peer's own name), or
    it is a peer's CID just below the zone. Raises BrokenLabel for a label that begins like one of ours and is none.
    """
    meanings = [read_label(label) for label in labels]
    if len(labels) == 1 and read_autotls_peer(labels[0]) is not None:
        return True
    return bool(meanings) and meanings[0] is not None


def _check_labels(labels: Name, fqdn: str) -> None:
    try:
        certifiable = is_certifiable(labels)
    except BrokenLabel as error:
        raise ChallengeRefused(E_OTHER, f"{fqdn}: {error}") from None
    if not certifiable:
        raise ChallengeRefused(
            E_OTHER, f"{fqdn}: its first label is neither an address nor a peer ID, nor is it one of challenge_names"
        )
