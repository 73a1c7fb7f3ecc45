"""Who is announced now: announcements in, news out. Pure.

Keys cost nothing, so anybody can announce as many peers as the network carries. What he can fill up is bounded, and
what he can push out is not what was there before him:

* whoever was heard again, after `SETTLED_SECONDS` or more, gets one of the settled places, which are half of all, and
  keeps it for as long as he goes on; no newcomer takes it from him
* the other places are for newcomers; where all are taken, the one who was not heard of for longest goes. Those who are
  announced once and never again go first, and an honest peer, who is heard every few seconds, stays in spite of a flood
  that needs longer than that for all the places

A flood can still keep settled places by renewing all of them for ever; then it must sign as often as so many peers do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from nodetrust.discovery.announcement import Announcement
from nodetrust.libp2p.peer_id import PeerId

EXPIRY_SECONDS = 60.0
"""Who was not heard of for so long is gone: 12 announcements at the client's default of one every 5 seconds."""

MAX_AUTHORS = 4096
"""Authors in the table, one peer each; ours. Heard every 5 seconds, they are most of the messages that pubsub checks
(`common_checks`, `reserved_checks`)."""

MAX_WEIGHT = 16 << 20
"""Of all addresses together, in about bytes; four times what so many peers with two WSS addresses each need. Ours."""

COMPONENT_WEIGHT = 64
"""What a part of an address takes beside its bytes."""

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


@dataclass(slots=True)
class _Places:
    """Entries in the order in which they were last heard of, and what they weigh."""

    entries: dict[PeerId, Announced] = field(default_factory=dict)
    weight: int = 0

    def put(self, entry: Announced) -> None:
        self.entries[entry.announcement.author] = entry
        self.weight += _weight(entry.announcement)

    def take(self, author: PeerId) -> Announced | None:
        entry = self.entries.pop(author, None)
        if entry is not None:
            self.weight -= _weight(entry.announcement)
        return entry


class PeerTable:
    """One entry an author. `now` is in seconds, on a clock that does not go backwards."""

    def __init__(self) -> None:
        self._settled = _Places()
        self._newcomers = _Places()

    def __len__(self) -> int:
        return len(self._settled.entries) + len(self._newcomers.entries)

    def __iter__(self) -> Iterator[Announced]:
        """All entries; in no order that means anything."""
        yield from self._settled.entries.values()
        yield from self._newcomers.entries.values()

    def get(self, author: PeerId) -> Announced | None:
        """What `author` announces now."""
        return self._settled.entries.get(author) or self._newcomers.entries.get(author)

    def heard(self, announcement: Announcement, now: float) -> list[News]:
        """An announcement that is no replay of an older one."""
        author = announcement.author
        news: list[News] = list(self.expire(now))
        before = self.get(author)
        if before is not None and before.announcement.peer != announcement.peer:
            news.append(self._remove(before))
            before = None
        if before is None:
            entry = Announced(announcement, now, now, 1)
            self._newcomers.put(entry)
            news.append(PeerFound(entry))
        else:
            entry = Announced(announcement, before.first_seen, now, before.count + 1)
            self._renew(entry, before)
            if set(before.announcement.addresses) != set(announcement.addresses):
                news.append(PeerChanged(entry, before))
        return news + self._make_room()

    def expire(self, now: float) -> list[PeerGone]:
        """Forget who was not heard of for `EXPIRY_SECONDS`."""
        gone = []
        for places in (self._settled, self._newcomers):
            for entry in places.entries.values():
                if now - entry.last_seen < EXPIRY_SECONDS:
                    break
                gone.append(entry)
        return [self._remove(entry) for entry in gone]

    def _renew(self, entry: Announced, before: Announced) -> None:
        author = entry.announcement.author
        was_settled = self._settled.take(author) is not None
        self._newcomers.take(author)
        goes_on = was_settled or entry.last_seen - before.first_seen >= SETTLED_SECONDS
        there_is_room = (
            len(self._settled.entries) < MAX_AUTHORS // 2
            and self._settled.weight + _weight(entry.announcement) <= MAX_WEIGHT // 2
        )
        (self._settled if goes_on and there_is_room else self._newcomers).put(entry)

    def _make_room(self) -> list[PeerGone]:
        gone = []
        while len(self) > MAX_AUTHORS or self._settled.weight + self._newcomers.weight > MAX_WEIGHT:
            gone.append(self._remove(next(iter(self._newcomers.entries.values()))))
        return gone

    def _remove(self, entry: Announced) -> PeerGone:
        author = entry.announcement.author
        if self._settled.take(author) is None:
            self._newcomers.take(author)
        return PeerGone(entry)


def _weight(announcement: Announcement) -> int:
    return sum(len(bytes(one)) + COMPONENT_WEIGHT * len(one.components) for one in announcement.addresses)
