"""The path by AutoTLS from end to end: the brokers, the CA, the DNS, the certificate, and this peer from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IResolver

from nodetrust.client.autotls.account import Account
from nodetrust.client.autotls.broker import Broker
from nodetrust.client.autotls.errors import AccountFileError, BrokerUntrusted
from nodetrust.client.autotls.shown import shown_certificate
from nodetrust.client.diagnosis.authority import Directory, judge_account, judge_directory
from nodetrust.client.diagnosis.autotls_network import Ca, ask_health
from nodetrust.client.diagnosis.autotls_outside import Outside
from nodetrust.client.diagnosis.broker import judge_certificate, judge_health, judge_meeting, judge_status
from nodetrust.client.diagnosis.caa import Orderer, judge_ca
from nodetrust.client.diagnosis.challenge import judge_challenge, judge_resolved_challenge
from nodetrust.client.diagnosis.names import Names
from nodetrust.client.diagnosis.network import or_error, together
from nodetrust.client.diagnosis.peer import judge_addresses, judge_peer
from nodetrust.client.diagnosis.steps import Report
from nodetrust.client.diagnosis.stored import Stored, judge_stored
from nodetrust.client.diagnosis.walked import Journal, Walked
from nodetrust.client.diagnosis.zone import Place, expected_by_autotls
from nodetrust.client.diagnosis.zone_walk import ZoneWalk
from nodetrust.client.lookup.wire import Question, Type
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import CHALLENGE_PREFIX, autotls_wildcard

STATUS_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose path it is, and whom it depends on. `key_file` None: the peer is made up for this walk."""

    peer: PeerId
    key_file: Path | None
    domain: str
    brokers: tuple[Broker, ...]
    directory: str
    """Of the CA."""
    ca: Ca
    account: Account | AccountFileError | None
    """What the folder has of the account there."""
    stored: Stored
    resolver: IResolver | None
    """For the brokers' names; None: the reactor's."""


class AutoTlsWalk:
    """One walk. `walked` grows while `run` goes on."""

    def __init__(self, clock: Any, names: Names, subject: Subject, outside: Outside, report: Report) -> None:
        self.walked = Walked(wants_proof=False)
        self._clock = clock
        self._names = names
        self._subject = subject
        self._outside = outside
        self._journal = Journal(report, self.walked)
        self._zones = ZoneWalk(names, self._journal)
        self._name = autotls_wildcard(subject.peer, subject.domain).removeprefix("*.")
        self._promised: list[str] | None = None
        """What brokers say that they have set; None: none has told."""

    async def run(self) -> None:
        """All of it. What depends on a step that failed is not looked at; cancelling ends it at once."""
        subject = self._subject
        self._journal.tell(judge_peer(subject.peer, subject.key_file))
        self._journal.begin("finding out where this peer is")
        addresses, source = await self._outside.where()
        self._journal.tell(judge_addresses(addresses, source))
        self.walked.known[subject.domain] = addresses
        outside = Deferred.fromCoroutine(self._outside.ask(addresses))
        try:
            for broker in subject.brokers:
                await self._ask_broker(broker)
            orderer = await self._ask_ca()
            places = await self._zones.look_at(
                subject.domain, expected_by_autotls(subject.peer, addresses, subject.domain)
            )
            if places:
                await self._look_at_challenge(places)
                await self._climb(orderer)
            now = self._now()
            self._journal.tell(*judge_stored(subject.stored, subject.peer, [subject.domain], addresses, now))
            self._journal.begin("having this peer dialled from outside")
            self._journal.tell(*await outside)
        finally:
            outside.addErrback(lambda failure: failure.trap(CancelledError))
            outside.cancel()

    async def _ask_broker(self, broker: Broker) -> None:
        url = str(broker)
        self._journal.begin(f"asking {url} how it is")
        health, shown = await together(
            [ask_health(broker, self._clock), or_error(self._shown(url), self._clock, STATUS_SECONDS)]
        )
        self._journal.tell(judge_health(url, health))
        if not isinstance(shown, Exception):
            trusted = not isinstance(health, BrokerUntrusted)
            self._journal.tell(judge_certificate(url, shown, self._now(), trusted=trusted))
        if isinstance(health, Exception):
            return
        self.walked.served = True
        met = await or_error(broker.meet(), self._clock, STATUS_SECONDS)
        self._journal.tell(judge_meeting(url, met))
        if isinstance(met, Exception) or self._subject.key_file is None:
            return
        status = await or_error(broker.status(), self._clock, STATUS_SECONDS)
        self._journal.tell(*judge_status(url, status, self._now()))
        if status is not None and not isinstance(status, Exception):
            self._promised = [*(self._promised or ()), *(one.value for one in status.values)]

    async def _shown(self, url: str) -> Any:
        return await shown_certificate(self._clock, self._subject.resolver, url)

    async def _ask_ca(self) -> Orderer:
        subject = self._subject
        self._journal.begin(f"asking the CA {subject.directory}")
        directory = await subject.ca.ask_directory()
        self._journal.tell(judge_directory(subject.directory, directory))
        if not isinstance(directory, Directory):
            return Orderer(())
        known: str | Exception | None = subject.account if isinstance(subject.account, Exception) else None
        if isinstance(subject.account, Account):
            known = await subject.ca.ask_account()
        has_key = subject.account is not None
        self._journal.tell(judge_account(subject.directory, known, has_key=has_key))
        return Orderer(directory.identities, known if isinstance(known, str) else None)

    async def _look_at_challenge(self, places: Sequence[Place]) -> None:
        name = f"{CHALLENGE_PREFIX}.{self._name}"
        self._journal.begin(f"looking up {name}")
        question = Question(name, Type.TXT)
        seen = await self._names.ask_each(places, question)
        self._journal.tell(judge_challenge(name, seen, self._promised))
        self._journal.tell(judge_resolved_challenge(name, await self._names.look_up(question)))

    async def _climb(self, orderer: Orderer) -> None:
        for climbed in await self._zones.climb([self._name], wildcards=True):
            step = judge_ca(climbed, orderer)
            if step is not None:
                self._journal.tell(step)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.seconds(), UTC)
