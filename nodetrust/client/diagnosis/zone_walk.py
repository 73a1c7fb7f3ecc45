"""The part of the path that is the DNS: a zone's servers, this peer's names, and who may sign for them."""

from __future__ import annotations

from collections.abc import Sequence

from nodetrust.client.diagnosis.caa import Climbed, judge_caa
from nodetrust.client.diagnosis.names import Names
from nodetrust.client.diagnosis.network import together
from nodetrust.client.diagnosis.steps import Outcome, counted
from nodetrust.client.diagnosis.walked import Journal
from nodetrust.client.diagnosis.zone import (
    Expected,
    Place,
    judge_delegation,
    judge_no_address,
    judge_place,
    judge_resolved,
    judge_serials,
    nothing_looked_up,
)


class ZoneWalk:
    """Asks, and tells what is to be said of the answers."""

    def __init__(self, names: Names, journal: Journal) -> None:
        self._names = names
        self._journal = journal

    async def look_at(self, zone: str, expected: Sequence[Expected]) -> tuple[Place, ...]:
        """The zone's name servers, each of them, and what the resolver makes of the names; none: no more is known."""
        journal = self._journal
        journal.begin(f"looking for the name servers of {zone}")
        delegation = await self._names.delegation(zone)
        journal.tell(judge_delegation(zone, delegation.answer, delegation.referral))
        journal.tell(*map(judge_no_address, delegation.homeless))
        if not delegation.places:
            journal.tell(nothing_looked_up())
            return ()
        journal.begin(f"asking {counted(len(delegation.places), 'name server')} of {zone}")
        seen = await self._names.see(delegation.places, zone, expected)
        judged = [judge_place(place, zone, one, expected) for place, one in seen.items()]
        serials = judge_serials(zone, seen)
        journal.tell(*judged, *([] if serials is None else [serials]))
        await self._resolve(expected, served=any(step.outcome in (Outcome.OK, Outcome.WARN) for step in judged))
        return delegation.places

    async def _resolve(self, expected: Sequence[Expected], *, served: bool) -> None:
        self._journal.begin("looking up this peer's names")
        answers = await together([self._names.look_up(one.question) for one in expected])
        for one, answer in zip(expected, answers, strict=True):
            self._journal.tell(judge_resolved(one, answer, served=served))

    async def climb(self, names: Sequence[str], *, wildcards: bool) -> list[Climbed]:
        """Who may sign for `names`, and for wildcards there where they are wanted; what counts, once each."""
        self._journal.begin("asking for CAA records up to the root")
        below: dict[str, list[str]] = {}
        found: dict[str, Climbed] = {}
        for name in names:
            climbed = await self._names.climb(name)
            found[climbed.owner or climbed.failure] = climbed
            below.setdefault(climbed.owner or climbed.failure, []).append(name)
        for key, climbed in found.items():
            self._journal.tell(*judge_caa(climbed, below[key], wildcards=wildcards))
        return list(found.values())
