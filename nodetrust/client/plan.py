"""The plan for the next certificate: made when there is one, moved by the issue server, held against two clocks."""

from __future__ import annotations

from datetime import datetime

from nodetrust.client.renewal import BY_LIFE, Intervals, own_plan, planned_seconds, seconds_of_rest, server_plan

WORTH_MOVING_SECONDS = 60.0


class Plan:
    """When a certificate is to be renewed.

    The time of day alone would not do: it may be wrong by years, and be set at any time. So the certificate is due,
    too, when as much time as was planned has passed on a clock that is never set. And one that seems to be due as soon
    as it is here is left alone for a while. Both times come in as arguments: `now`, and `steady` in seconds.
    """

    def __init__(
        self,
        not_before: datetime,
        not_after: datetime,
        now: datetime,
        steady: float,
        intervals: Intervals = BY_LIFE,
    ) -> None:
        """For a certificate that was stored, or just issued: then `now` is its start, whatever a clock says."""
        self.at = not_after
        """Aware; between the start and the last tenth of the life, once it is made."""
        self._not_before = not_before
        self._not_after = not_after
        self._intervals = intervals
        self._begun_now = now
        self._begun = steady
        self._due = steady
        self._rest_until = steady
        self._hasty = 0

    def make(self, renew_at: datetime | None, chance: float) -> None:
        """Renew at `renew_at`; None: in time before the end, by `chance` (0 to 1)."""
        if renew_at is None:
            self.at = own_plan(self._not_before, self._not_after, chance, self._intervals)
        else:
            self.at = server_plan(int(renew_at.timestamp() * 1000), self._not_before, self._not_after)
        self._due = self._begun + planned_seconds(self.at, self._not_before, self._not_after, self._begun_now)

    def move(self, renew_at_ms: int, now: datetime) -> bool:
        """Renew when the issue server says; whether that is another time than was planned."""
        renew_at = server_plan(renew_at_ms, self._not_before, self._not_after)
        both_are_past = max(renew_at, self.at) <= now
        if both_are_past or abs((renew_at - self.at).total_seconds()) < WORTH_MOVING_SECONDS:
            return False
        self.make(renew_at, 0.0)
        return True

    def rest_after(self, before: Plan | None) -> None:
        """The certificate was just issued, in the place of the one with the plan `before`."""
        life = self._not_after - self._not_before
        if before is not None and self._begun - before._begun < life.total_seconds() / 2:
            self._hasty = before._hasty + 1
        self._rest_until = self._begun + seconds_of_rest(self._hasty, life)

    def seconds_left(self, now: datetime, steady: float) -> float:
        """How long to wait; 0 or less: it is due."""
        left = min((self.at - now).total_seconds(), self._due - steady)
        return max(left, self._rest_until - steady)
