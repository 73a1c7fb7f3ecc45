"""When a peer is told to renew, and how long it takes to renew many. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nodetrust.quotas import Limit
from nodetrust.renewal import HasLife, renewal_time

PEERS_ASK_SECONDS = 4 * 3600.0
"""Within which a running client asks when to renew (it does so every three hours or so)."""


class HasKey(HasLife, Protocol):
    """A stored certificate."""

    @property
    def public_key_sha256(self) -> bytes:
        """Of its SubjectPublicKeyInfo."""

    @property
    def renew_at(self) -> datetime | None:
        """What was chosen by the CA's word, if it has said something."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long it takes until all are renewed, and the limit that makes it so long; None: the peers' own pace."""

    seconds: float
    limit: Limit | None


def planned(certificate: HasKey) -> datetime:
    """When a peer is told to renew: what was chosen by the CA's word, or else the same each time it asks."""
    chance = int.from_bytes(certificate.public_key_sha256[:4], "big") / 2**32
    return renewal_time(certificate, None, certificate.not_before, chance, certificate.renew_at)


def is_due(certificate: HasLife, renew_at: datetime | None, now: datetime) -> bool:
    """Whether a peer that asks for this certificate again shall get a new one instead."""
    if not certificate.not_before <= now < certificate.not_after:
        return True
    if renew_at is not None and now >= renew_at:
        return True
    return certificate.not_after - now <= (certificate.not_after - certificate.not_before) / 3


def estimate(due: int, limits: Sequence[Limit], now: float, states: Mapping[str, float] | None = None) -> Estimate:
    """How long `due` orders take where each draws one from all `limits`, as full as `states` (`quotas`) say.

    Never less than the peers take to ask.
    """
    worst = Estimate(PEERS_ASK_SECONDS, None)
    for limit in limits:
        state = min(max((states or {}).get(limit.key, now), now), now + limit.period_seconds)
        wait = state - now + (due / limit.amount - 1) * limit.period_seconds
        if wait > worst.seconds:
            worst = Estimate(wait, limit)
    return worst
