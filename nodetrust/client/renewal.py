"""When to ask for the next certificate, and how long to wait after a failure. Pure."""

from __future__ import annotations

from datetime import datetime

FIRST_RETRY_SECONDS = 60.0
LAST_RETRY_SECONDS = 3600.0
"""Waits double between these: a CA's outage must not end in a stampede, nor in a certificate that runs out."""

SPREAD = 0.1
"""Of a wait: so that peers that started together do not renew together."""

MIN_WAIT_SECONDS = 1.0


def seconds_to_renewal(not_before: datetime, not_after: datetime, now: datetime, chance: float) -> float:
    """Seconds from `now` until a third of the life is left, and a little more by `chance` (0 to 1)."""
    life_seconds = (not_after - not_before).total_seconds()
    due_seconds = (not_after - now).total_seconds() - life_seconds / 3
    # A little after the third, never before: until then an issue server hands out the old certificate again.
    return max(MIN_WAIT_SECONDS, due_seconds + chance * SPREAD * life_seconds / 3)


def seconds_to_retry(failures: int, chance: float, retry_after_seconds: float | None) -> float:
    """Seconds to wait after the `failures`-th failure in a row (from 1); the issue server's own word is honoured."""
    wait = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(failures - 1, 10))
    return max(wait, retry_after_seconds or 0.0) * (1 + chance * SPREAD)
