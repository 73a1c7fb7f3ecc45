"""When a certificate is to be renewed. Pure. RFC 9773 §4.2."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from nodetrust.acme.wire import RenewalWindow

SPREAD = 0.1
"""Of the last third of a life, without a window: what was issued together is not renewed together."""

LAST_SHARE = 0.1
"""Of a life: later than this before the end is never planned, whatever the CA says. Nine days of ninety for retries."""


RENEWABLE = timedelta(days=120)
"""From the start of a certificate's life: for so long an order for the very same names is a renewal to Let's Encrypt,
whether or not the certificate has ended (its server's source, `NewOrder` in wfe2)."""


class HasLife(Protocol):
    """A certificate, whatever else it is. Both times are aware."""

    @property
    def not_before(self) -> datetime:
        """The start of its life."""

    @property
    def not_after(self) -> datetime:
        """The end of its life."""


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
