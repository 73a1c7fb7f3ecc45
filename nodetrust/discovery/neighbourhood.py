"""Which announced peers to dial, and which to leave again, so that there are always some to hear from. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from random import Random

from nodetrust.discovery.table import Announced
from nodetrust.libp2p.peer_id import PeerId

MAX_DIALS = 3
"""Dials under way at once; ours."""

WANTED_DIALLED = 2
"""Neighbours at least that we have dialled, beside any number that dialled us: a crowd of strangers must not become all
that we hear. As gossipsub's D_out."""

MAX_DIALLED_SHARE = 2
"""Connections that we have dialled, for each neighbour wanted: some are used by others after they proved silent."""

GRACE_SECONDS = 10.0
"""In which a peer that we have dialled must join the topic; identify and pubsub's hello take a few round trips."""

FIRST_BACKOFF_SECONDS = 10.0
"""After a first failure; twice as long after each further one."""

MAX_BACKOFF_SECONDS = 600.0
"""The longest, and that for who does not join the topic, for he will hardly learn it sooner: behind a forwarder is
a node that knows nothing of us."""

BACKOFF_JITTER = 0.25

MAX_BACKOFFS = 4096
"""Authors whose failures are remembered, as many as a table has; the oldest are forgotten first."""


@dataclass(slots=True)
class _Link:
    """A peer that we dial or have dialled."""

    author: PeerId
    since: float | None = None
    """When it was reached, or left the topic; None while it is dialled."""
    joined: bool = False
    silent: bool = False


@dataclass(frozen=True, slots=True)
class _Backoff:
    failures: int
    until: float


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done now."""

    dial: tuple[Announced, ...]
    leave: frozenset[PeerId]
    """Told again until the connection is gone: somebody may still need it for something else."""


@dataclass(slots=True)
class Neighbourhood:
    """Keeps `wanted` neighbours, and of those that we have dialled `WANTED_DIALLED` at least.

    `now` is in seconds, on a clock that never goes back. A failure is held against the author of the announcement, not
    the peer: else anybody could keep us from a peer by announcing it at a place where it is not.
    """

    own: PeerId
    random: Random
    wanted: int
    _links: dict[PeerId, _Link] = field(default_factory=dict)
    _backoffs: dict[PeerId, _Backoff] = field(default_factory=dict)

    def step(
        self, announced: Iterable[Announced], connected: Collection[PeerId], joined: Collection[PeerId], now: float
    ) -> Step:
        """`announced` has those first who have been for longest; `joined` are the connected peers in the topic.

        Each peer in `dial` must be followed by `reached` or `failed`.
        """
        for peer, link in list(self._links.items()):
            if link.since is not None:
                self._look_at(peer, link, peer in connected, peer in joined, now)
        leave = frozenset(peer for peer, link in self._links.items() if link.silent)
        return Step(tuple(self._choose(announced, connected, joined, now)), leave)

    def reached(self, peer: PeerId, now: float) -> None:
        """There is a connection to a peer that was dialled."""
        self._links[peer].since = now

    def failed(self, peer: PeerId, now: float) -> None:
        """There is none."""
        self._back_off(self._links.pop(peer).author, now)

    def _look_at(self, peer: PeerId, link: _Link, connected: bool, joined: bool, now: float) -> None:
        if not connected:
            del self._links[peer]
            if not link.joined and not link.silent:
                self._back_off(link.author, now)
        elif joined:
            link.joined, link.silent = True, False
            self._backoffs.pop(link.author, None)
        elif link.joined:
            link.joined, link.since = False, now
        elif not link.silent and now - (link.since or 0.0) >= GRACE_SECONDS:
            link.silent = True
            self._backoffs[link.author] = _Backoff(1, now + MAX_BACKOFF_SECONDS)

    def _choose(
        self, announced: Iterable[Announced], connected: Collection[PeerId], joined: Collection[PeerId], now: float
    ) -> list[Announced]:
        dialling = sum(link.since is None for link in self._links.values())
        hoped_for = sum(not link.joined and not link.silent for link in self._links.values())
        dialled = sum(link.joined for link in self._links.values())
        room = min(
            max(self.wanted - len(joined), WANTED_DIALLED - dialled) - hoped_for,
            MAX_DIALS - dialling,
            MAX_DIALLED_SHARE * self.wanted - len(self._links),
        )
        if room <= 0:
            return []
        candidates = [entry for entry in announced if self._may_dial(entry, connected, now)]
        chosen: list[Announced] = []
        while candidates and len(chosen) < room:
            # Half of those chosen are of the oldest quarter: a flood of fresh keys must not become all our neighbours.
            entry = candidates.pop(int(len(candidates) * self.random.random() ** 2))
            peer = entry.announcement.peer
            if peer not in self._links:
                self._links[peer] = _Link(entry.announcement.author)
                chosen.append(entry)
        return chosen

    def _may_dial(self, entry: Announced, connected: Collection[PeerId], now: float) -> bool:
        peer, backoff = entry.announcement.peer, self._backoffs.get(entry.announcement.author)
        free = backoff is None or backoff.until <= now
        return free and peer != self.own and peer not in connected and peer not in self._links

    def _back_off(self, author: PeerId, now: float) -> None:
        before = self._backoffs.pop(author, None)
        failures = 0 if before is None else before.failures
        seconds = min(FIRST_BACKOFF_SECONDS * 2 ** min(failures, 16), MAX_BACKOFF_SECONDS)
        until = now + seconds * self.random.uniform(1 - BACKOFF_JITTER, 1 + BACKOFF_JITTER)
        self._backoffs[author] = _Backoff(failures + 1, until)
        if len(self._backoffs) > MAX_BACKOFFS:
            del self._backoffs[next(iter(self._backoffs))]
