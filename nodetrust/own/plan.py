"""When to ask for the next certificate, and when again after a failure. Pure."""

from __future__ import annotations

from datetime import datetime

from nodetrust.certificates import Chain
from nodetrust.renewal import renewal_time

LOOK_SECONDS = 3600.0
"""How often it is looked whether the CA has moved the time of renewal."""

MIN_WAIT_SECONDS = 1.0

EARLIEST_SHARE = 10
"""A certificate is kept for this part of its life, whatever the CA says: else we would order in a circle."""

FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 60.0, 3600.0
"""Waits double between these."""

RETRIES_LEFT = 10
"""At least so many tries fit into what is left of a certificate's life."""

SPREAD = 0.1
"""Of a wait: several servers that failed together do not try together."""


def seconds_to_renewal(chain: Chain, renew_at: datetime | None, now: datetime, chance: float) -> float:
    """Seconds until the next certificate should be asked for: as the CA said, else when a third of the life is left,
    and a little later by `chance` (0 to 1); 0 and less is now.
    """
    if renew_at is None:
        return (renewal_time(chain, None, now, chance) - now).total_seconds()
    earliest = chain.not_before + (chain.not_after - chain.not_before) / EARLIEST_SHARE
    return (max(renew_at, earliest) - now).total_seconds()


def seconds_to_retry(failures: int, left_seconds: float, asked_seconds: float | None, chance: float) -> float:
    """Seconds to wait after the `failures`-th failure in a row (from 1).

    `left_seconds` is what is left of the life of the certificate in use (0 without one); `asked_seconds` is when the
    CA, or our own quota, has said to come back: never sooner, unless that is so long that we had better look again.
    """
    wait = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 10))
    if left_seconds > 0:
        wait = min(wait, left_seconds / RETRIES_LEFT)
    wait = max(wait, min(asked_seconds or 0.0, LAST_RETRY_SECONDS))
    return max(MIN_WAIT_SECONDS, wait * (1 + chance * SPREAD))
