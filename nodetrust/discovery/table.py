"""Who is announced now: announcements in, news out. Pure.

Keys cost nothing, so anybody can announce as many peers as the network carries. What he can fill up is bounded, and
what he can push out is not what was there before him:

* whoever was heard again, after `SETTLED_SECONDS` or more, gets one of the settled places, and keeps it for as long as
  he goes on; no newcomer takes it from him
* the other places are for newcomers; where all are taken, the one who was not heard of for longest goes. Those who are
  announced once and never again go first, and an honest peer, who is heard every few seconds, stays in spite of a flood
  that needs longer than that for all the places

A flood can still keep settled places by renewing all of them for ever; then it must sign as often as so many peers do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from nodetrust.discovery.announcement import Announcement
from nodetrust.libp2p.peer_id import PeerId

EXPIRY_SECONDS = 60.0
"""Who was not heard of for so long is gone: 12 announcements at the client's default of one every 5 seconds."""

MAX_AUTHORS = 4096
"""Authors in the table, one peer each; ours. Heard every 5 seconds, they are most of the messages that pubsub checks
(`checks_per_heartbeat`)."""

MAX_SETTLED = MAX_AUTHORS // 2

SETTLED_SECONDS = 2.0
"""Between two announcements that count as going on; less than any honest interval but those after a start."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A peer that is announced, and what was heard of it; times are those that came in as `now`."""

    announcement: Announcement
    first_seen: float
    last_seen: float
    count: int


@dataclass(frozen=True, slots=True)
class PeerFound:
    """A peer is announced that was not."""

    peer: Announced


@dataclass(frozen=True, slots=True)
class PeerChanged:
    """A peer is announced at other addresses than before."""

    peer: Announced
    before: Announced


@dataclass(frozen=True, slots=True)
class PeerGone:
    """A peer was not announced any more for `EXPIRY_SECONDS`, has made room, or its author announces another."""

    peer: Announced


News: TypeAlias = PeerFound | PeerChanged | PeerGone


class PeerTable:
    """One entry an author. `now` is in seconds, on a clock that does not go backwards."""

    def __init__(self) -> None:
        # Both in the order in which they were last heard of.
        self._settled: dict[PeerId, Announced] = {}
        self._newcomers: dict[PeerId, Announced] = {}

    def __len__(self) -> int:
        return len(self._settled) + len(self._newcomers)

    def __iter__(self) -> Iterator[Announced]:
        """All entries; in no order that means anything."""
        yield from self._settled.values()
        yield from self._newcomers.values()

    def get(self, author: PeerId) -> Announced | None:
        """What `author` announces now."""
        return self._settled.get(author) or self._newcomers.get(author)

    def heard(self, announcement: Announcement, now: float) -> list[News]:
        """An announcement that is no replay of an older one."""
        author = announcement.author
        news: list[News] = list(self.expire(now))
        before = self.get(author)
        if before is not None and before.announcement.peer != announcement.peer:
            news.append(self._remove(before))
            before = None
        if before is not None:
            entry = Announced(announcement, before.first_seen, now, before.count + 1)
            self._renew(entry, before)
            if set(before.announcement.addresses) != set(announcement.addresses):
                news.append(PeerChanged(entry, before))
            return news
        if len(self) >= MAX_AUTHORS:
            news.append(self._remove(next(iter(self._newcomers.values()))))
        entry = self._newcomers[author] = Announced(announcement, now, now, 1)
        news.append(PeerFound(entry))
        return news

    def expire(self, now: float) -> list[PeerGone]:
        """Forget who was not heard of for `EXPIRY_SECONDS`."""
        gone = []
        for entries in (self._settled, self._newcomers):
            for entry in entries.values():
                if now - entry.last_seen < EXPIRY_SECONDS:
                    break
                gone.append(entry)
        return [self._remove(entry) for entry in gone]

    def _renew(self, entry: Announced, before: Announced) -> None:
        author = entry.announcement.author
        if self._settled.pop(author, None) is None:
            del self._newcomers[author]
            goes_on = entry.last_seen - before.first_seen >= SETTLED_SECONDS
            if not goes_on or len(self._settled) >= MAX_SETTLED:
                self._newcomers[author] = entry
                return
        self._settled[author] = entry

    def _remove(self, entry: Announced) -> PeerGone:
        author = entry.announcement.author
        if self._settled.pop(author, None) is None:
            del self._newcomers[author]
        return PeerGone(entry)
