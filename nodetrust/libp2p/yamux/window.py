"""Receive windows: how much the remote side may send on a stream, and when it is granted more.

Every stream begins with 256 KiB (libp2p/specs yamux §Flow Control). A window doubles when half of it was consumed
within four round trips, because then the window and not the reader limits the stream (go-yamux and js do the same).
"""

from __future__ import annotations

INITIAL_WINDOW_BYTES = 256 * 1024
"""Fixed by the protocol, in both directions, for every stream."""

MAX_WINDOW_BYTES = 16 * 1024 * 1024
"""The largest window of one stream, as in go-yamux and js; a session's budget may end the growth earlier."""

MAX_CREDIT = 2**32 - 1
"""The most that a remote side may grant us in sum; a header's length has as many bits."""

GROWTH_ROUND_TRIPS = 4
"""A window consumed within this many round trips is too small (go-yamux)."""

RECEIVE_BUDGET_BYTES = 4 * 1024 * 1024
"""What one session keeps unread at most, over all its streams (the goal for the memory of one peer)."""


class ReceiveBudget:
    """What the streams of one session share: how far windows may grow, and how much may lie unread.

    Only half of the budget goes into growth, so that a slow reader of a grown window leaves room for the others. The
    initial windows are not ours to refuse (256 streams of 256 KiB); that is why `unread` is counted as well.
    """

    __slots__ = ("_growth_left", "size", "unread")

    def __init__(self, size: int = RECEIVE_BUDGET_BYTES) -> None:
        self.size = size
        self.unread = 0
        self._growth_left = max(0, size // 2 - INITIAL_WINDOW_BYTES)

    @property
    def exceeded(self) -> bool:
        """Whether more is unread than this session may keep."""
        return self.unread > self.size

    def grow(self, step: int) -> bool:
        """Reserve `step` bytes for a larger window, or say that there is no room."""
        if step > self._growth_left:
            return False
        self._growth_left -= step
        return True

    def release(self, window: ReceiveWindow) -> None:
        """Take back what a stream that is gone had reserved and had unread."""
        self._growth_left += window.size - INITIAL_WINDOW_BYTES
        self.release_unread(window)

    def release_unread(self, window: ReceiveWindow) -> None:
        """Count no longer what a stream had unread: it was dropped."""
        self.unread -= window.unread
        window.unread = 0


class ReceiveWindow:
    """One stream's window: `size` in full, `credit` what may still be sent to us, `unread` what waits for a reader."""

    __slots__ = ("_budget", "_last_grant", "credit", "size", "unread")

    def __init__(self, budget: ReceiveBudget, now: float) -> None:
        self._budget = budget
        self._last_grant = now
        self.size = self.credit = INITIAL_WINDOW_BYTES
        self.unread = 0

    def received(self, size: int) -> None:
        """Count bytes that now wait for a reader (their credit was taken when their header came)."""
        self.unread += size
        self._budget.unread += size

    def consumed(self, size: int, now: float, rtt_seconds: float | None) -> int:
        """Count bytes that a reader took; the result is what to grant in a WindowUpdate now, often 0."""
        self.unread -= size
        self._budget.unread -= size
        grant = self.size - self.credit - self.unread
        if grant < self.size // 2:
            return 0
        if rtt_seconds is not None and now - self._last_grant < GROWTH_ROUND_TRIPS * rtt_seconds:
            grant += self._grow()
        self._last_grant = now
        self.credit += grant
        return grant

    def _grow(self) -> int:
        step = min(self.size, MAX_WINDOW_BYTES - self.size)
        if step == 0 or not self._budget.grow(step):
            return 0
        self.size += step
        return step
