"""The path from end to end: what is asked in which order, and told as soon as it is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from nodetrust.client.diagnosis.caa import Orderer, judge_issuers_cas
from nodetrust.client.diagnosis.issuer import judge_dial, judge_info
from nodetrust.client.diagnosis.names import Names
from nodetrust.client.diagnosis.network import ask_proofs, dial_all, read_info
from nodetrust.client.diagnosis.outside import (
    DEFAULT_PORT,
    judge_checked,
    judge_unanswered,
    named_wss,
    nothing_to_check,
    own_wss,
)
from nodetrust.client.diagnosis.peer import judge_peer
from nodetrust.client.diagnosis.proofs import judge_agreement, judge_attempts
from nodetrust.client.diagnosis.steps import Report, Step, brief, counted
from nodetrust.client.diagnosis.stored import Stored, judge_stored
from nodetrust.client.diagnosis.walked import Journal, Walked
from nodetrust.client.diagnosis.zone import expected_answers
from nodetrust.client.diagnosis.zone_walk import ZoneWalk
from nodetrust.client.issuers import Issuer
from nodetrust.client.prove import peer_of, places_of
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import IssueInfo
from nodetrust.reachability.ask import Checked, ask_check
from nodetrust.settings import HostPort

MAX_AUTHORITIES = 8
"""Of one issue server, that are looked at."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose path it is."""

    issuers: tuple[Issuer, ...]
    stored: Stored
    key_file: Path | None
    """None: the peer is made up for this walk, and gone after it."""
    wss: tuple[HostPort, ...] = ()
    """Where WSS is to be reached; none: where a client with the stored certificate serves it."""


class Walk:
    """One walk, with a host that has the peer's key. `walked` grows while `run` goes on."""

    def __init__(self, clock: Any, host: Host, names: Names, subject: Subject, report: Report) -> None:
        self.walked = Walked()
        self._clock = clock
        self._host = host
        self._subject = subject
        self._journal = Journal(report, self.walked)
        self._zones = ZoneWalk(names, self._journal)
        self._infos: list[IssueInfo] = []

    async def run(self) -> None:
        """All of it. What depends on a step that failed is not looked at; cancelling ends it at once."""
        self._journal.tell(judge_peer(self._host.peer_id, self._subject.key_file))
        for issuer in self._subject.issuers:
            await self._ask_issuer(issuer)
        outside = Deferred.fromCoroutine(self._ask_outside())
        try:
            for zone in dict.fromkeys(info.domain for info in self._infos):
                await self._look_at_zone(zone)
            self._look_at_certificate()
            self._journal.begin("asking servers to dial this peer back")
            for step in await outside:
                self._journal.tell(step)
        finally:
            outside.addErrback(lambda failure: failure.trap(CancelledError))
            outside.cancel()

    async def _ask_issuer(self, issuer: Issuer) -> None:
        peer = peer_of(issuer)
        self._journal.begin(f"dialling the issue server {brief(peer)}")
        dialled = await dial_all(self._host, self._clock, issuer)
        reached = any(not isinstance(one, Exception) for one in dialled.values())
        self._journal.tell(*(judge_dial(address, one, others=reached) for address, one in dialled.items()))
        if not reached:
            return
        self._journal.begin(f"asking the issue server {brief(peer)} for its proof servers")
        info = await read_info(self._host, self._clock, issuer)
        self._journal.tell(judge_info(peer, info))
        if not isinstance(info, Exception):
            self.walked.served = True
            self._infos.append(info)
            await self._ask_proofs(peer, info)

    async def _ask_proofs(self, issuer: PeerId, info: IssueInfo) -> None:
        self._journal.begin(f"asking {counted(len(info.proofs), 'proof server')}")
        attempts = await ask_proofs(self._host, self._clock, info, issuer)
        self._journal.tell(*judge_attempts(attempts, int(self._clock.seconds() * 1000)))
        agreement = judge_agreement(attempts, info.quorum)
        self._journal.tell(agreement.step)
        known = self.walked.known.get(info.domain, ())
        self.walked.known[info.domain] = tuple(dict.fromkeys((*known, *agreement.addresses)))

    async def _look_at_zone(self, zone: str) -> None:
        expected = expected_answers(self._host.peer_id, self.walked.known.get(zone, ()), zone)
        if await self._zones.look_at(zone, expected):
            chain = self._subject.stored.chain
            wildcards = chain is not None and any(name.startswith("*.") for name in chain.names)
            for climbed in await self._zones.climb([one.question.name for one in expected], wildcards=wildcards):
                self._journal.tell(*judge_issuers_cas(climbed, self._orderers(zone), wildcards=wildcards))

    def _orderers(self, zone: str) -> list[Orderer]:
        """The CAs of the issue servers that give names there."""
        of_zone = (info.authorities[:MAX_AUTHORITIES] for info in self._infos if info.domain == zone)
        found = (Orderer.from_message(one) for authorities in of_zone for one in authorities)
        return list(dict.fromkeys(found))

    def _look_at_certificate(self) -> None:
        now = datetime.fromtimestamp(self._clock.seconds(), UTC)
        zones = list(self.walked.known)
        self._journal.tell(*judge_stored(self._subject.stored, self._host.peer_id, zones, self.walked.addresses, now))

    async def _ask_outside(self) -> list[Step]:
        addresses = self._wss()
        if not addresses:
            return [nothing_to_check(self._why_no_wss())]
        servers = [address for issuer in self._subject.issuers for address in issuer]
        for info in self._infos:
            servers += [one for server in info.proofs for one in places_of(server)]
        checked: list[Checked] = []
        failure: Exception | None = None
        try:
            checked = await ask_check(self._host, servers, addresses, self._clock)
        except (NodetrustError, Libp2pError) as error:
            failure = error
        return [*map(judge_checked, checked), *judge_unanswered(addresses, checked, failure)]

    def _wss(self) -> list[Multiaddr]:
        zone = next(iter(self.walked.known), None)
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
