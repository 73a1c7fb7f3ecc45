"""When to ask for the next certificate, or for new proofs, and how long to wait after a failure. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import datetime

from nodetrust.client.errors import IssuerUnreachable, NoProofs, Refused
from nodetrust.names import IPAddress

FIRST_RETRY_SECONDS = 60.0
LAST_RETRY_SECONDS = 3600.0
"""Waits double between these: a CA's outage must not end in a stampede, nor in a certificate that runs out."""

FIRST_REDIAL_SECONDS = 5.0
"""The first wait where not even the issue server or a proof server could be reached: the CA has heard nothing of it."""

SPREAD = 0.1
"""Of a wait: so that peers that started together do not renew together."""

MIN_WAIT_SECONDS = 1.0

REPROOF_SECONDS = 30.0
"""At least from one look at where we are to the next: an issue server that sees us at an address which no proof server
sees (its neighbour's, say) may tell us so on every connection."""


def seconds_to_renewal(not_before: datetime, not_after: datetime, now: datetime, chance: float) -> float:
    """Seconds from `now` until a third of the life is left, and a little more by `chance` (0 to 1)."""
    life_seconds = (not_after - not_before).total_seconds()
    due_seconds = (not_after - now).total_seconds() - life_seconds / 3
    # A little after the third, never before: until then an issue server hands out the old certificate again.
    return max(MIN_WAIT_SECONDS, due_seconds + chance * SPREAD * life_seconds / 3)


def seconds_to_retry(failures: int, chance: float, error: Exception) -> float:
    """Seconds to wait after the `failures`-th failure in a row (from 1), the last of which was `error`.

    When the issue server has said how long to wait, it is never less.
    """
    first = FIRST_REDIAL_SECONDS if isinstance(error, IssuerUnreachable | NoProofs) else FIRST_RETRY_SECONDS
    wait = min(LAST_RETRY_SECONDS, first * math.pow(2, min(failures - 1, 10)))
    asked = error.retry_after_seconds if isinstance(error, Refused) else None
    return max(wait, asked or 0.0) * (1 + chance * SPREAD)


def seconds_to_reproof(
    seen_at: IPAddress | None, proven: Collection[IPAddress], since_last_seconds: float | None
) -> float | None:
    """Seconds until new proofs are worth asking for, because the issue server sees us where the certificate is not for.

    None if it does not, or has not said where it sees us. `since_last_seconds` is how long ago we asked for that
    reason; None is never.
    """
    if seen_at is None or seen_at in proven:
        return None
    return 0.0 if since_last_seconds is None else max(0.0, REPROOF_SECONDS - since_last_seconds)
