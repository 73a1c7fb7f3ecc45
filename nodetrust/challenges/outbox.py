"""What one DNS server still has to be told. Pure: times are seconds of one clock, handed in.

For each challenge there is at most one entry: the state that is wanted (set or removed) and not yet confirmed. So a
challenge that was withdrawn while the server was down is never set, and both kinds may be told twice without harm.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Challenge = tuple[str, str]
"""A name, without `_acme-challenge.`, and the value of its TXT record."""

MAX_ENTRIES = 20_000
"""Of one server; some 6 MB. More than all open orders and an hour's withdrawals."""

SET_SECONDS = 600.0
"""How long it is worth while to set a challenge that nobody withdrew: no order takes longer."""

REMOVE_SECONDS = 3600.0
"""How long to remove one: after the longest life that a DNS server gives a challenge it is gone by itself."""

FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 1.0, 60.0
"""Pauses between attempts double from the first to the last."""

LAST_PAUSE_OF_ORDERS_SECONDS = 3.0
"""The last pause before a challenge is set: behind it is an open order, which is to go on within ten seconds of when
the server can be reached again."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A challenge to be set, or removed."""

    challenge: Challenge
    remove: bool


@dataclass(slots=True)
class _Entry:
    wanted: Wish
    until: float
    due: float = 0.0
    failures: int = 0
    told: bool = False
    """Whether the server may have heard of the challenge, in this process or an earlier one."""
    on_its_way: bool = False
    refused: bool = False


class Outbox:
    """What is wanted of one server and not confirmed, in the order in which it became due."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        self._entries: dict[Challenge, _Entry] = {}
        # An entry that is not on its way is in one of these.
        self._due: OrderedDict[Challenge, None] = OrderedDict()
        self._paused: dict[Challenge, None] = {}
        self._held: set[Challenge] = set()
        """Those that the server is known to have."""

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, challenge: Challenge) -> bool:
        return challenge in self._entries

    def set(self, challenge: Challenge, now: float) -> bool:
        """Want a challenge to be answered; False if there is no room."""
        return self._want(Wish(challenge, remove=False), now + SET_SECONDS)

    def remove(self, challenge: Challenge, now: float) -> bool:
        """Want it not to be answered any more; False if there is no room."""
        entry = self._entries.get(challenge)
        if entry is not None and not (entry.told or entry.on_its_way or challenge in self._held):
            self._delete(challenge)
            return True
        return self._want(Wish(challenge, remove=True), now + REMOVE_SECONDS)

    def take(self, now: float, most: int) -> list[Wish]:
        """Up to `most` wishes that are due; each is to be given to `confirm`, `refused` or `postpone` afterwards."""
        self._wake(lambda entry: entry.due <= now)
        taken: list[Wish] = []
        while self._due and len(taken) < most:
            challenge, _ = self._due.popitem(last=False)
            entry = self._entries[challenge]
            if entry.until <= now:
                self._delete(challenge)
            else:
                entry.on_its_way = True
                taken.append(entry.wanted)
        return taken

    def told(self, wishes: Iterable[Wish]) -> None:
        """These, which were taken, are being sent: who knows what arrives."""
        for wish in wishes:
            self._entries[wish.challenge].told = True

    def confirm(self, wish: Wish) -> None:
        """The server has done this one."""
        if wish.remove:
            self._held.discard(wish.challenge)
        elif len(self._held) < self._max_entries:
            self._held.add(wish.challenge)
        if self._returned(wish):
            self._delete(wish.challenge)
        self.reached()

    def reached(self) -> None:
        """The server can be reached: all that it has not refused is due."""
        self._wake(lambda entry: not entry.refused)

    def refused(self, wish: Wish, now: float) -> None:
        """The server does not do this one: perhaps later, its disk may be full."""
        self._entries[wish.challenge].refused = True
        self.postpone([wish], now)

    def postpone(self, wishes: Iterable[Wish], now: float) -> None:
        """These were not done, and are due again after a pause; one that has changed meanwhile is due at once."""
        for wish in wishes:
            entry = self._entries[wish.challenge]
            if self._returned(wish):
                self._pause(wish.challenge, now)
            elif entry.wanted.remove and not entry.told and wish.challenge not in self._held:
                self._delete(wish.challenge)

    def postpone_all(self, now: float) -> None:
        """The server cannot be reached: what is due, and not on its way, has to wait."""
        due, self._due = self._due, OrderedDict()
        for challenge in due:
            self._pause(challenge, now)

    def seconds_to_next(self, now: float) -> float | None:
        """When `take` has something again; None if nothing is left but what is on its way."""
        if self._due:
            return 0.0
        return min((max(0.0, self._entries[one].due - now) for one in self._paused), default=None)

    def _want(self, wish: Wish, until: float) -> bool:
        challenge = wish.challenge
        entry = self._entries.get(challenge)
        if entry is None:
            if len(self._entries) >= self._max_entries:
                return False
            entry = self._entries[challenge] = _Entry(wish, until, told=wish.remove)
        entry.wanted, entry.until, entry.failures, entry.refused = wish, until, 0, False
        if not entry.on_its_way:
            self._paused.pop(challenge, None)
            self._due[challenge] = None
        return True

    def _returned(self, wish: Wish) -> bool:
        """This one is not on its way any more; whether it is still what is wanted. If not, that is due."""
        entry = self._entries[wish.challenge]
        entry.on_its_way = False
        if entry.wanted == wish:
            return True
        self._due[wish.challenge] = None
        return False

    def _pause(self, challenge: Challenge, now: float) -> None:
        entry = self._entries[challenge]
        entry.failures += 1
        last = LAST_PAUSE_SECONDS if entry.wanted.remove else LAST_PAUSE_OF_ORDERS_SECONDS
        entry.due = now + min(last, FIRST_PAUSE_SECONDS * 2.0 ** min(entry.failures - 1, 10))
        self._paused[challenge] = None

    def _wake(self, may: Callable[[_Entry], bool]) -> None:
        for challenge in [one for one in self._paused if may(self._entries[one])]:
            del self._paused[challenge]
            self._due[challenge] = None

    def _delete(self, challenge: Challenge) -> None:
        del self._entries[challenge]
        self._due.pop(challenge, None)
        self._paused.pop(challenge, None)
