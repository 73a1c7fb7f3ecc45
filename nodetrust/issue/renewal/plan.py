"""When one certificate is to be renewed, and how long it takes to renew many. Pure. RFC 9773 §4.2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nodetrust.acme.wire import RenewalWindow
from nodetrust.quotas import Limit

SPREAD = 0.1
"""Of the last third of a life, without a window: what was issued together is not renewed together."""

LAST_SHARE = 0.1
"""Of a life: later than this before the end is never planned, whatever the CA says. Nine days of ninety for retries."""

PEERS_ASK_SECONDS = 4 * 3600.0
"""Within which a running client asks when to renew (it does so every three hours or so)."""


class HasLife(Protocol):
    """A certificate, whatever else it is. Both times are aware."""

    @property
    def not_before(self) -> datetime:
        """The start of its life."""

    @property
    def not_after(self) -> datetime:
        """The end of its life."""


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


def renewal_time(
    certificate: HasLife,
    window: RenewalWindow | None,
    now: datetime,
    chance: float,
    chosen: datetime | None = None,
) -> datetime:
    """When to renew; a time in the past means at once. `chance` is 0 to 1.

    Without a window (a CA without ARI, or not asked yet): when a third of the life is left, and a little later. Else a
    moment of the window, or of what is left of it. A moment that was `chosen` stays, as long as it is in the window.
    """
    life = certificate.not_after - certificate.not_before
    if window is None:
        return chosen or certificate.not_after - life / 3 + life / 3 * SPREAD * chance
    if chosen is not None and window.start <= chosen <= window.end:
        return chosen
    start = min(max(window.start, now), window.end)
    latest = certificate.not_after - life * LAST_SHARE
    return min(max(start + (window.end - start) * chance, certificate.not_before), latest)


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
