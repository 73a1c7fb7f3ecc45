"""What is asked of the DNS: through the resolver, and of the zone's own name servers, each answer or its error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nodetrust.client.diagnosis.caa import Climbed, parents
from nodetrust.client.diagnosis.network import together
from nodetrust.client.diagnosis.zone import Answer, Expected, Place, Referral, Seen, name_servers
from nodetrust.client.lookup.errors import NoReply
from nodetrust.client.lookup.resolver import DNS_PORT, Resolver
from nodetrust.client.lookup.transport import Over, ask
from nodetrust.client.lookup.wire import NO_ERROR, NO_SUCH_NAME, Question, Record, Reply, Type
from nodetrust.names import IPAddress
from nodetrust.settings import HostPort

MAX_NAME_SERVERS = 13
"""Of one zone; as many as the root has."""

MAX_PLACES = 16
"""Addresses of name servers that are asked."""


@dataclass(frozen=True, slots=True)
class Delegation:
    """Who serves a zone: `homeless` are name servers without an address."""

    answer: Answer
    referral: Referral | None
    places: tuple[Place, ...]
    homeless: tuple[str, ...]


class Names:
    """Asks for one walk. `port` is where the zone's name servers answer."""

    def __init__(self, reactor: Any, resolver: Resolver, port: int = DNS_PORT) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._port = port
        self._caa: dict[str, Answer] = {}

    async def look_up(self, question: Question) -> Answer:
        """What the resolver says."""
        try:
            return await self._resolver.ask(question.name, question.type)
        except NoReply as error:
            return error

    async def delegation(self, zone: str) -> Delegation:
        """The zone's name servers and their addresses, by the resolver, or by the zone above where it has none."""
        answer = await self.look_up(Question(zone, Type.NS))
        referral = None
        if isinstance(answer, Reply) and not answer.of(Type.NS):
            referral = await self._referral(zone)
        names = name_servers(zone, answer, referral)[:MAX_NAME_SERVERS]
        found = dict(zip(names, await together([self._addresses(name, referral) for name in names]), strict=True))
        places = [Place(name, HostPort(str(ip), self._port)) for name, ips in found.items() for ip in ips]
        homeless = [name for name, ips in found.items() if not ips]
        return Delegation(answer, referral, tuple(places[:MAX_PLACES]), tuple(homeless))

    async def _referral(self, zone: str) -> Referral | None:
        """What a server of the nearest zone above says; None where the resolver knows no such zone."""
        for parent in parents(zone)[1:]:
            answer = await self.look_up(Question(parent, Type.NS))
            servers = name_servers(parent, answer, None)
            if not servers:
                continue
            for ip in await self._addresses(servers[0], None):
                return Referral(parent, await self._ask(HostPort(str(ip), self._port), Question(zone, Type.NS), "UDP"))
        return None

    async def _addresses(self, name: str, referral: Referral | None) -> list[IPAddress]:
        """Of a name server: what the resolver says, else the glue."""
        answers = await together([self.look_up(Question(name, kind)) for kind in (Type.A, Type.AAAA)])
        records = [record for answer in answers if isinstance(answer, Reply) for record in answer.answers]
        if not records and referral is not None and isinstance(referral.answer, Reply):
            records = [record for record in referral.answer.additional if record.name == name]
        return [_address(record) for record in records if record.type in (Type.A, Type.AAAA)]

    async def see(self, places: Sequence[Place], zone: str, expected: Sequence[Expected]) -> dict[Place, Seen]:
        """What each name server says itself, over UDP and over TCP."""
        questions = [Question(zone, Type.SOA), *(one.question for one in expected)]
        seen = await together([self._see(place, questions) for place in places])
        return dict(zip(places, seen, strict=True))

    async def ask_each(self, places: Sequence[Place], question: Question) -> dict[Place, Answer]:
        """What each name server says to one question, over UDP."""
        answers = await together([self._ask(place.place, question, "UDP") for place in places])
        return dict(zip(places, answers, strict=True))

    async def _see(self, place: Place, questions: Sequence[Question]) -> Seen:
        ways: tuple[Over, ...] = ("UDP", "TCP")
        answers = await together([self._ask_each(place.place, questions, over) for over in ways])
        return dict(zip(ways, answers, strict=True))

    async def _ask_each(self, server: HostPort, questions: Sequence[Question], over: Over) -> dict[Question, Answer]:
        answers = await together([self._ask(server, question, over) for question in questions])
        return dict(zip(questions, answers, strict=True))

    async def _ask(self, server: HostPort, question: Question, over: Over) -> Answer:
        try:
            return await ask(self._reactor, server, question, over)
        except NoReply as error:
            return error

    async def climb(self, name: str) -> Climbed:
        """The CAA records that count for a name: those of the nearest name at or above it (RFC 8659 §3)."""
        for above in parents(name):
            if above not in self._caa:
                self._caa[above] = await self.look_up(Question(above, Type.CAA))
            answer = self._caa[above]
            if isinstance(answer, NoReply):
                return Climbed(name, failure=f"{above}: {answer}")
            if answer.code not in (NO_ERROR, NO_SUCH_NAME):
                return Climbed(name, failure=f"the resolver says {answer.code_name} for {above}")
            if records := answer.of(Type.CAA):
                return Climbed(name, above, tuple(records))
        return Climbed(name)


def _address(record: Record) -> IPAddress:
    assert not isinstance(record.value, str | int | bytes)  # noqa: S101  # A and AAAA have nothing else
    return record.value
