"""Which of our WSS addresses others can dial: what was found out from outside, and when to look again. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodetrust.libp2p.multiaddr import Multiaddr

FIRST_LOOK_AGAIN_SECONDS = 30.0
LAST_LOOK_AGAIN_SECONDS = 1800.0
"""While an address is not reached, waits double between these: somebody may just be opening the port."""

LOOK_SECONDS = 3600.0
"""From one look to the next while all is well: a router may forget a mapping, and nobody tells us."""

SURE_SECONDS = 60.0
"""To the second look at an address that was reached before and was not this time: a lost packet is no closed port."""

SPREAD = 0.1
"""Of a wait, so that peers that started together do not ask together."""

MISSES = 2
"""So many looks in a row without success take away an address that was announced."""


@dataclass(slots=True)
class _Known:
    reached: bool = False
    misses: int = 0


class Reach:
    """What is known of each candidate.

    `announced` is what others may be told: it stays as it was for other candidates of the same peer until there has
    been a first look at the new ones, so that a peer that moves is not gone in between.
    """

    def __init__(self) -> None:
        self.candidates: tuple[Multiaddr, ...] = ()
        self.announced: tuple[Multiaddr, ...] = ()
        self._known: dict[Multiaddr, _Known] = {}
        self._fruitless = 0

    def consider(self, candidates: Sequence[Multiaddr]) -> bool:
        """These are the addresses now; whether they are others than before."""
        if tuple(candidates) == self.candidates:
            return False
        self.candidates = tuple(candidates)
        self._known = {one: self._known.get(one, _Known()) for one in candidates}
        self._fruitless = 0
        peers = {one.peer_id for one in candidates}
        self.announced = tuple(one for one in self.announced if one.peer_id in peers)
        return True

    def looked(self, reached: Mapping[Multiaddr, bool]) -> list[Multiaddr]:
        """What a look has found; returns the candidates that are to be thought of as closed now, and were not yet.

        What it says nothing of (there may be nobody to look over IPv6) is hoped for, until a look does.
        """
        closed = []
        for address, known in self._known.items():
            if address not in reached:
                continue
            if reached[address]:
                known.reached, known.misses = True, 0
                continue
            known.misses += 1
            if known.misses == (MISSES if known.reached else 1):
                known.reached = False
                closed.append(address)
        self._fruitless = 0 if all(reached.values()) else self._fruitless + 1
        self._announce()
        return closed

    def cannot_look(self) -> None:
        """Nobody looks for us."""
        self._fruitless += 1
        self._announce()

    def _announce(self) -> None:
        self.announced = tuple(one for one, known in self._known.items() if known.reached or not known.misses)

    def seconds_to_look(self, chance: float) -> float:
        """From the last look to the next, a little more by `chance` (0 to 1)."""
        if any(known.reached and known.misses for known in self._known.values()):
            wait = SURE_SECONDS
        elif self._fruitless:
            doubled = FIRST_LOOK_AGAIN_SECONDS * math.pow(2, min(self._fruitless - 1, 10))
            wait = min(LAST_LOOK_AGAIN_SECONDS, doubled)
        else:
            wait = LOOK_SECONDS
        return wait * (1 + chance * SPREAD)
