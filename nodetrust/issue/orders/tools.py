"""What all orders need: the clock, the settings, the store, the DNS servers, the CAs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from nodetrust.issue.authorities import Authority
from nodetrust.issue.settings import IssueSettings
from nodetrust.store import Store


class Challenges(Protocol):
    """The zone's DNS servers."""

    async def publish(self, challenges: Sequence[tuple[str, str]]) -> None:
        """Return when they answer with all values; raises `DnsServerError`."""

    async def withdraw(self, challenges: Sequence[tuple[str, str]]) -> None:
        """Have them forget the values, now or as soon as they can be reached."""

    def owes(self, challenges: Sequence[tuple[str, str]]) -> bool:
        """Whether one of them has yet to be told to forget one of these."""

    def check(self) -> None:
        """Raise `DnsServerError` where `publish` has little hope now."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What all orders need."""

    reactor: Any
    settings: IssueSettings
    store: Store
    dns: Challenges
    authorities: Sequence[Authority]
    epoch: bytes
    """Of this process: whose orders are ours."""

    def now(self) -> datetime:
        """The reactor's time of day."""
        return datetime.fromtimestamp(self.reactor.seconds(), UTC)

    def seconds(self) -> float:
        """The same in seconds since the epoch."""
        seconds: float = self.reactor.seconds()
        return seconds

    def another_than(self, authority: Authority) -> bool:
        """Whether another CA may be asked now."""
        now = self.seconds()
        return any(one is not authority and not one.seconds_to_wait(now) for one in self.authorities)
