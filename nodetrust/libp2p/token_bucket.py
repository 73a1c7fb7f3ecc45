"""A bound on how often something may happen: so many times at once, and so many a second from then on. Pure."""

from __future__ import annotations


class TokenBucket:
    """Full when it is made; `burst` tokens at most, refilled at `per_second`."""

    __slots__ = ("_burst", "_counted_at", "_per_second", "_tokens")

    def __init__(self, burst: int, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._tokens = float(burst)
        self._counted_at = 0.0

    def take(self, now: float) -> bool:
        """Take a token, or say that there is none. `now` is in seconds; a clock that was set back costs none."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._counted_at) * self._per_second)
        self._counted_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
