"""When to ask for the next certificate, or for new proofs, and how long to wait after a failure. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from nodetrust.client.errors import IssuerUnreachable, NoIssuer, NoProofs, Refused
from nodetrust.names import IPAddress

FIRST_RETRY_SECONDS = 60.0
LAST_RETRY_SECONDS = 3600.0
"""Waits double between these: a CA's outage must not end in a stampede, nor in a certificate that runs out."""

FIRST_REDIAL_SECONDS = 5.0
LAST_REDIAL_SECONDS = 600.0
"""The same where not even the issue server or a proof server could be reached: the CA has heard nothing of it."""

LONGEST_RETRY_SECONDS = 86400.0
"""However long the issue server asks us to wait: once a day costs it nothing, and it may have been mistaken."""

SPREAD = 0.1
"""Of a wait: so that peers that started together do not renew together."""

LAST_SHARE = 0.1
"""Of a life: later than this before the end is never planned, whatever the issue server says."""

CHECK_SECONDS = 3 * 3600.0
"""How often the issue server is asked when to renew, if the user does not say it. A CA that revokes in haste may leave
a day for all."""

RECHECK_SECONDS = 600.0
"""Between two of these questions, however often the connection is lost."""

REST_SECONDS = 3600.0
"""After a certificate, before the issue server can make us order another one; twice as long after each such haste."""

REPROOF_SECONDS = 30.0
"""At least from one look at where we are to the next: an issue server that sees us at an address which no proof server
sees (its neighbour's, say) may tell us so on every connection."""

LONGEST_REPROOF_SECONDS = 6 * 3600.0
"""The same, for a peer that is at one address now and at another then: each order for a move within a day doubles the
distance to the next, so that two uplinks that take turns cost ten certificates a day, and not three thousand."""

MOVES_SECONDS = 86400.0
"""For so long an order for a move is remembered."""


@dataclass(frozen=True, slots=True)
class Intervals:
    """What a user may say about the times of renewal: how often to look, and how much of a certificate is too little.

    A zero stands for the share of the certificate's life that fits most: a third to renew, a tenth to raise the alarm.
    """

    check_seconds: float = CHECK_SECONDS
    reissue: timedelta = timedelta(0)
    panic: timedelta = timedelta(0)

    def to_reissue(self, not_before: datetime, not_after: datetime) -> timedelta:
        """The rest of the life with which to renew.

        At most a third: until then an issue server hands out the old certificate again.
        """
        third = (not_after - not_before) / 3
        return min(self.reissue or third, third)

    def to_panic(self, not_before: datetime, not_after: datetime) -> timedelta:
        """The rest of the life from which on it is an error that there is no next certificate."""
        return self.panic or (not_after - not_before) * LAST_SHARE


BY_LIFE = Intervals()
"""What holds if the user says nothing."""


def own_plan(not_before: datetime, not_after: datetime, chance: float, intervals: Intervals = BY_LIFE) -> datetime:
    """When to renew if nobody says it: when a third of the life is left, and a little later by `chance` (0 to 1)."""
    rest = intervals.to_reissue(not_before, not_after)
    return not_after - rest + rest * SPREAD * chance


def server_plan(renew_at_ms: int, not_before: datetime, not_after: datetime) -> datetime:
    """When to renew by the issue server's word (`renewAt`, milliseconds since the epoch), whatever that is.

    A time in the past means now; one too close to the end, or after it, is moved to before.
    """
    latest = not_after - (not_after - not_before) * LAST_SHARE
    first_ms, last_ms = (int(time.timestamp() * 1000) for time in (not_before, latest))
    return datetime.fromtimestamp(min(max(renew_at_ms, first_ms), last_ms) / 1000, UTC)


def planned_seconds(plan: datetime, not_before: datetime, not_after: datetime, now: datetime) -> float:
    """From `now` to the plan; bounded by the life, for the clock here may be wrong by years."""
    longest = (not_after - not_before) * (1 - LAST_SHARE)
    return max(timedelta(0), min(plan - now, longest)).total_seconds()


def seconds_of_rest(hasty: int, life: timedelta) -> float:
    """From one certificate to the order of the next, after `hasty` renewals in a row that each came soon."""
    return min(REST_SECONDS * math.pow(2, min(hasty, 20)), life.total_seconds() / 3)


def seconds_to_check(chance: float, intervals: Intervals = BY_LIFE) -> float:
    """From one question about `renewAt` to the next; a quarter more or less, by `chance`."""
    return intervals.check_seconds * (0.75 + 0.5 * chance)


def seconds_to_retry(failures: int, chance: float, error: Exception) -> float:
    """Seconds to wait after the `failures`-th failure in a row (from 1), the last of which was `error`.

    When the issue server has said how long to wait, it is never less, up to `LONGEST_RETRY_SECONDS`. Of several
    servers, the one that may be asked the soonest counts.
    """
    if isinstance(error, NoIssuer):
        return min(seconds_to_retry(failures, chance, reason) for reason in error.reasons)
    if isinstance(error, IssuerUnreachable | NoProofs):
        first, last = FIRST_REDIAL_SECONDS, LAST_REDIAL_SECONDS
    else:
        first, last = FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS
    wait = min(last, first * math.pow(2, min(failures - 1, 10)))
    asked = error.retry_after_seconds if isinstance(error, Refused) else None
    return max(wait, min(asked or 0.0, LONGEST_RETRY_SECONDS)) * (1 + chance * SPREAD)


def level_of_failure(
    not_before: datetime, not_after: datetime, now: datetime, intervals: Intervals = BY_LIFE
) -> Literal["info", "warn", "error"]:
    """How loudly to say that there is no next certificate, by how much is left of the life of this one."""
    left = not_after - now
    if left <= intervals.to_panic(not_before, not_after):
        return "error"
    return "info" if left > intervals.to_reissue(not_before, not_after) else "warn"


def seconds_to_reproof(
    seen_at: IPAddress | None,
    proven: Collection[IPAddress],
    since_last_seconds: float | None,
    *,
    stirred: bool = False,
    moves: int = 0,
) -> float | None:
    """Seconds until new proofs are worth asking for: the issue server sees us where the certificate is not for, or this
    machine's own addresses have changed (`stirred`).

    None if neither is so. `since_last_seconds` is how long ago we asked for such a reason; None is never. `moves` are
    the certificates that were ordered for one within a day.
    """
    if not stirred and (seen_at is None or seen_at in proven):
        return None
    distance = min(LONGEST_REPROOF_SECONDS, REPROOF_SECONDS * math.pow(2, min(moves, 20)))
    return 0.0 if since_last_seconds is None else max(0.0, distance - since_last_seconds)
