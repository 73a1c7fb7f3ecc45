"""Before and after a query is read: what the limits make of its source."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nodetrust.dns.errors import BadQuery
from nodetrust.dns.limits.cookies import Cookies, is_cookie
from nodetrust.dns.limits.rates import Decision, RateLimiter
from nodetrust.dns.limits.sources import unmapped
from nodetrust.dns.records import Rcode
from nodetrust.dns.wire import COOKIE, EdnsOption, Query

MAX_AMPLIFICATION = 2.5
"""How many times as large as its query a brief answer may be: whoever asks under another's name gains little.

Quiet neighbourhoods (no more queries a second than one address's rate) get whole answers, of at most 1232 octets: what
could be reflected at one of them is 250 kB a second by default, and to bound that as well would send every resolver
to TCP for each signed denial.
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks one query. Without `cookies`, the server has none and ignores those of others. `limiter` has counted the
    query, if there is one."""

    source: bytes = b""
    decision: Decision = Decision.ANSWER
    cookies: Cookies | None = None
    wall_seconds: Callable[[], float] = time.time
    limiter: RateLimiter | None = None

    def judge(self, query: Query) -> tuple[Decision, tuple[EdnsOption, ...]]:
        """The decision now that the query can be read, and the options to answer with: a valid cookie lifts any limit,
        and its query is counted for none.

        Raises BadQuery for what cannot be a cookie. Of several, the first one is it (RFC 7873 §5.2).
        """
        if self.cookies is None or query.edns is None or not self.source:
            return self.decision, ()
        data = next((data for code, data in query.edns.options if code == COOKIE), None)
        if data is None:
            return self.decision, ()
        if not is_cookie(data):
            raise BadQuery(Rcode.FORMERR)
        now = self.wall_seconds()
        source = unmapped(self.source)
        decision = self.decision
        if self.cookies.is_valid(data, source, now):
            if self.limiter is not None:
                self.limiter.give_back(source, decision)
            decision = Decision.ANSWER
        return decision, ((COOKIE, self.cookies.renew(data, source, now)),)


ANYONE = Caller()
"""Whoever asks where nothing is limited and nobody gets a cookie."""


class Gate:
    """The limits of one process; None for those that are off."""

    def __init__(
        self,
        limiter: RateLimiter | None = None,
        cookies: Cookies | None = None,
        wall_seconds: Callable[[], float] = time.time,
    ) -> None:
        self._limiter = limiter
        self._cookies = cookies
        self._wall_seconds = wall_seconds

    def decide_all(self, sources: Sequence[bytes], now: float) -> Sequence[Decision]:
        """What the rate of its source leaves of each query over UDP; `now` is a monotonic clock's."""
        if self._limiter is None:
            return [Decision.ANSWER] * len(sources)
        return self._limiter.decide_all(sources, now)

    def caller(self, source: bytes, decision: Decision) -> Caller:
        """Who asks over UDP, for the full path."""
        return Caller(source, decision, self._cookies, self._wall_seconds, self._limiter)

    def unlimited(self, source: bytes) -> Caller:
        """Who asks over TCP, which nothing counts."""
        return Caller(source, Decision.ANSWER, self._cookies, self._wall_seconds)
