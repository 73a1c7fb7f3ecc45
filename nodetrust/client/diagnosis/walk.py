"""The path from end to end: what is asked in which order, and told as soon as it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from nodetrust.client.diagnosis.caa import Climbed, judge_caa
from nodetrust.client.diagnosis.issuer import judge_dial, judge_info
from nodetrust.client.diagnosis.names import Names
from nodetrust.client.diagnosis.network import ask_proofs, dial_all, read_info, together
from nodetrust.client.diagnosis.outside import (
    DEFAULT_PORT,
    judge_checked,
    judge_unanswered,
    named_wss,
    nothing_to_check,
    own_wss,
)
from nodetrust.client.diagnosis.proofs import judge_agreement, judge_attempts
from nodetrust.client.diagnosis.steps import Area, Outcome, Report, Step, brief, counted
from nodetrust.client.diagnosis.stored import Stored, judge_stored
from nodetrust.client.diagnosis.zone import (
    Expected,
    expected_answers,
    judge_delegation,
    judge_no_address,
    judge_place,
    judge_resolved,
    judge_serials,
    nothing_looked_up,
)
from nodetrust.client.issuers import Issuer
from nodetrust.client.prove import peer_of, places_of
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import IssueInfo
from nodetrust.names import IPAddress
from nodetrust.reachability.ask import Checked, ask_check
from nodetrust.settings import HostPort


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose path it is."""

    issuers: tuple[Issuer, ...]
    stored: Stored
    key_file: Path | None
    """None: the peer is made up for this walk, and gone after it."""
    wss: tuple[HostPort, ...] = ()
    """Where WSS is to be reached; none: where a client with the stored certificate serves it."""


@dataclass(slots=True)
class Walked:
    """What came of it so far."""

    steps: list[Step] = field(default_factory=list)
    infos: dict[PeerId, IssueInfo] = field(default_factory=dict)
    """Of the issue servers that answered."""
    proven: dict[str, tuple[IPAddress, ...]] = field(default_factory=dict)
    """By zone."""

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """All that are proven, each once."""
        return tuple(dict.fromkeys(ip for addresses in self.proven.values() for ip in addresses))


class Walk:
    """One walk, with a host that has the peer's key. `walked` grows while `run` goes on."""

    def __init__(self, clock: Any, host: Host, names: Names, subject: Subject, report: Report) -> None:
        self.walked = Walked()
        self._clock = clock
        self._host = host
        self._names = names
        self._subject = subject
        self._report = report

    async def run(self) -> None:
        """All of it. What depends on a step that failed is not looked at; cancelling ends it at once."""
        self._tell(_judge_peer(self._host.peer_id, self._subject.key_file))
        for issuer in self._subject.issuers:
            await self._ask_issuer(issuer)
        outside = Deferred.fromCoroutine(self._ask_outside())
        try:
            for zone in dict.fromkeys(info.domain for info in self.walked.infos.values()):
                await self._look_at_zone(zone)
            self._look_at_certificate()
            self._report.begin("asking servers to dial this peer back")
            for step in await outside:
                self._tell(step)
        finally:
            outside.addErrback(lambda failure: failure.trap(CancelledError))
            outside.cancel()

    def _tell(self, *steps: Step) -> None:
        for step in steps:
            self.walked.steps.append(step)
            self._report.tell(step)

    async def _ask_issuer(self, issuer: Issuer) -> None:
        peer = peer_of(issuer)
        self._report.begin(f"dialling the issue server {brief(peer)}")
        dialled = await dial_all(self._host, self._clock, issuer)
        reached = any(not isinstance(one, Exception) for one in dialled.values())
        self._tell(*(judge_dial(address, one, others=reached) for address, one in dialled.items()))
        if not reached:
            return
        self._report.begin(f"asking the issue server {brief(peer)} for its proof servers")
        info = await read_info(self._host, self._clock, issuer)
        self._tell(judge_info(peer, info))
        if not isinstance(info, Exception):
            self.walked.infos[peer] = info
            await self._ask_proofs(peer, info)

    async def _ask_proofs(self, issuer: PeerId, info: IssueInfo) -> None:
        self._report.begin(f"asking {counted(len(info.proofs), 'proof server')}")
        attempts = await ask_proofs(self._host, self._clock, info, issuer)
        self._tell(*judge_attempts(attempts, int(self._clock.seconds() * 1000)))
        agreement = judge_agreement(attempts, info.quorum)
        self._tell(agreement.step)
        known = self.walked.proven.get(info.domain, ())
        self.walked.proven[info.domain] = tuple(dict.fromkeys((*known, *agreement.addresses)))

    async def _look_at_zone(self, zone: str) -> None:
        expected = expected_answers(self._host.peer_id, self.walked.proven.get(zone, ()), zone)
        self._report.begin(f"looking for the name servers of {zone}")
        delegation = await self._names.delegation(zone)
        self._tell(judge_delegation(zone, delegation.answer, delegation.referral))
        self._tell(*map(judge_no_address, delegation.homeless))
        if not delegation.places:
            self._tell(nothing_looked_up())
            return
        self._report.begin(f"asking {counted(len(delegation.places), 'name server')} of {zone}")
        seen = await self._names.see(delegation.places, zone, expected)
        judged = [judge_place(place, zone, one, expected) for place, one in seen.items()]
        serials = judge_serials(zone, seen)
        self._tell(*judged, *([] if serials is None else [serials]))
        await self._resolve(expected, served=any(step.outcome in (Outcome.OK, Outcome.WARN) for step in judged))
        await self._climb(expected)

    async def _resolve(self, expected: Sequence[Expected], *, served: bool) -> None:
        self._report.begin("looking up this peer's names")
        answers = await together([self._names.look_up(one.question) for one in expected])
        for one, answer in zip(expected, answers, strict=True):
            self._tell(judge_resolved(one, answer, served=served))

    async def _climb(self, expected: Sequence[Expected]) -> None:
        self._report.begin("asking for CAA records up to the root")
        names: dict[str, list[str]] = {}
        found: dict[str, Climbed] = {}
        for one in expected:
            climbed = await self._names.climb(one.question.name)
            found[climbed.owner or climbed.failure] = climbed
            names.setdefault(climbed.owner or climbed.failure, []).append(one.question.name)
        chain = self._subject.stored.chain
        wildcards = chain is not None and any(name.startswith("*.") for name in chain.names)
        for key, climbed in found.items():
            self._tell(*judge_caa(climbed, names[key], wildcards=wildcards))

    def _look_at_certificate(self) -> None:
        now = datetime.fromtimestamp(self._clock.seconds(), UTC)
        zones = list(self.walked.proven)
        self._tell(*judge_stored(self._subject.stored, self._host.peer_id, zones, self.walked.addresses, now))

    async def _ask_outside(self) -> list[Step]:
        addresses = self._wss()
        if not addresses:
            return [nothing_to_check(self._why_no_wss())]
        servers = [address for issuer in self._subject.issuers for address in issuer]
        for info in self.walked.infos.values():
            servers += [one for server in info.proofs for one in places_of(server)]
        checked: list[Checked] = []
        failure: Exception | None = None
        try:
            checked = await ask_check(self._host, servers, addresses, self._clock)
        except (NodetrustError, Libp2pError) as error:
            failure = error
        return [*map(judge_checked, checked), *judge_unanswered(addresses, checked, failure)]

    def _wss(self) -> list[Multiaddr]:
        zone = next(iter(self.walked.proven), None)
        if self._subject.key_file is None or zone is None:
            return []
        chain = self._subject.stored.chain
        names = frozenset() if chain is None else chain.names
        peer = self._host.peer_id
        if self._subject.wss:
            return [named_wss(place, names, peer, zone) for place in self._subject.wss]
        return own_wss(self.walked.addresses, names, peer, DEFAULT_PORT)

    def _why_no_wss(self) -> str:
        if self._subject.key_file is None:
            return "nobody can say whether a peer is there whose key is not: give the client's folder with --state"
        if not self.walked.addresses:
            return "no address of this peer is proven"
        return "there is no certificate for a proven address: give the place with --wss HOST:PORT if it serves WSS"


def _judge_peer(peer: PeerId, key_file: Path | None) -> Step:
    facts = {"peer": str(peer), "key_file": None if key_file is None else str(key_file)}
    if key_file is None:
        found = f"{peer}, made up for this check: the folder has no key"
        return Step(Area.PEER, "peer ID", Outcome.SKIP, found, facts=facts)
    return Step(Area.PEER, "peer ID", Outcome.OK, f"{peer}, by {key_file}", facts=facts)
