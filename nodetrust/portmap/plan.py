"""When to look, renew and try again, and whether a gateway has lost its mappings. Pure.

`chance` is a random number from 0 up to 1, so that the nodes of a network do not all ask at once. Times are seconds of
a clock that nobody sets.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodetrust.portmap.mapping import WANTED_LIFETIME_SECONDS

CHECK_SECONDS = 120.0
"""How often to look whether the mapping is still there: so long a router's restart or new address goes unnoticed."""

SHORTEST_RENEWAL_SECONDS = 4.0
"""RFC 6887 §11.2.1: renewals are at least so far apart, however short the lifetime."""

LONGEST_LIFETIME_SECONDS = 86400
"""A gateway that grants more is asked again as if it had granted a day."""

FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 900.0
"""A router that restarts is away for a minute or two; one that maps nothing is left alone for a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """How long a gateway says that it has kept its mappings, and when it said so."""

    gateway_seconds: int
    heard_at: float


def trusted_lifetime(lifetime_seconds: int | None) -> float:
    """How long to rely on a mapping without another word of the gateway; None is one that never ends by itself."""
    return min(WANTED_LIFETIME_SECONDS if lifetime_seconds is None else lifetime_seconds, LONGEST_LIFETIME_SECONDS)


def seconds_to_renew(lifetime_seconds: int | None, chance: float) -> float:
    """From the grant to the renewal: half the lifetime to five eighths of it (RFC 6887 §11.2.1)."""
    return max(SHORTEST_RENEWAL_SECONDS, trusted_lifetime(lifetime_seconds) * (1 / 2 + chance / 8))


def seconds_to_check(check_seconds: float, chance: float) -> float:
    """From one look to the next: a little less than `check_seconds`."""
    return check_seconds * (1 - chance / 8)


def seconds_to_retry(failures: int, chance: float) -> float:
    """After so many failures in a row, the first of which is 1: doubled each time, up to a quarter of an hour."""
    doubled: float = FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 20)
    return min(LONGEST_RETRY_SECONDS, doubled) * (1 - chance / 4)


def nat_pmp_lost(before: Epoch, now: Epoch) -> bool:
    """Whether a NAT-PMP gateway has lost its mappings since `before` (RFC 6886 §3.6: it may count an eighth slower)."""
    expected = before.gateway_seconds + (now.heard_at - before.heard_at) * 7 / 8
    return now.gateway_seconds < expected - 2
