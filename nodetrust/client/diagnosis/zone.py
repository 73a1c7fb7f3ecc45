"""What is to be said of the DNS: the zone's delegation, its name servers, and what resolvers make of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from nodetrust.addresses import is_public
from nodetrust.client.diagnosis.steps import Area, Outcome, Step, brief, counted
from nodetrust.client.lookup.errors import NoReply, NoRoute
from nodetrust.client.lookup.transport import Over
from nodetrust.client.lookup.wire import NO_ERROR, NO_SUCH_NAME, Question, Reply, Type
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import (
    IPAddress,
    autotls_name_for_address,
    name_for_address,
    name_for_peer,
    peer_from_label,
)
from nodetrust.settings import HostPort

Answer: TypeAlias = Reply | NoReply

SHORT_TTL_SECONDS = 60
"""Below that, nearly every look-up of the name goes to the zone's name servers."""

LONG_TTL_SECONDS = 7 * 86400
"""RFC 8767 §4: what resolvers cap a TTL at. After a mistake, no correction is seen for that long."""

UNTRUE = (
    "the DNS server does not spell out such names, as nodetrust-dns does, or it denies the address: see its deny lists "
    "and `addresses`"
)


@dataclass(frozen=True, slots=True)
class Expected:
    """A question about a name of this peer, and the one right value."""

    question: Question
    value: IPAddress | str


def expected_answers(peer: PeerId, addresses: Iterable[IPAddress], zone: str) -> tuple[Expected, ...]:
    """The names of a peer that has proven `addresses`, and its own, which spells its ID."""
    spelled = [
        Expected(Question(name_for_address(ip, zone), Type.A if ip.version == 4 else Type.AAAA), ip) for ip in addresses
    ]
    return (*spelled, Expected(Question(name_for_peer(peer, zone), Type.TXT), f"id={peer}"))


def expected_by_autotls(peer: PeerId, addresses: Iterable[IPAddress], domain: str) -> tuple[Expected, ...]:
    """The names of a peer at `addresses`, below its own in the domain of a broker."""
    return tuple(
        Expected(Question(autotls_name_for_address(ip, peer, domain), Type.A if ip.version == 4 else Type.AAAA), ip)
        for ip in addresses
    )


@dataclass(frozen=True, slots=True)
class Referral:
    """The nearest zone above that a resolver knows, and what its own name servers say of the zone below."""

    parent: str
    answer: Answer


def name_servers(zone: str, answer: Answer, referral: Referral | None) -> list[str]:
    """The names of the zone's name servers: by the zone itself, else by the zone above."""
    if isinstance(answer, Reply) and (own := answer.of(Type.NS)):
        return sorted({str(record.value) for record in own})
    if referral is None or not isinstance(referral.answer, Reply):
        return []
    records = (*referral.answer.answers, *referral.answer.authority)
    return sorted({str(one.value) for one in records if one.type == Type.NS and one.name == zone})


def judge_delegation(zone: str, answer: Answer, referral: Referral | None) -> Step:
    """Of the resolver's word on who serves the zone; `referral` where it knows nobody."""
    title = f"delegation of {zone}"
    servers = name_servers(zone, answer, referral)
    facts: dict[str, object] = {"zone": zone, "name_servers": servers}
    if isinstance(answer, NoReply):
        advice = "see what /etc/resolv.conf names, or give another with --nameserver"
        return Step(Area.DNS, title, Outcome.FAIL, str(answer), advice, facts)
    if answer.of(Type.NS):
        return Step(Area.DNS, title, Outcome.OK, f"to {', '.join(servers)}", facts=facts)
    said = f"the resolver knows no name servers for it ({emptiness(answer)})"
    if referral is None:
        advice = f"have the zone above name your DNS servers in NS records for {zone}, with their addresses as glue"
        return Step(Area.DNS, title, Outcome.FAIL, said, advice, facts)
    facts["parent"] = referral.parent
    if servers:
        found = f"{referral.parent} delegates it to {', '.join(servers)}, but {said}"
        advice = "see that the DNS server runs there, and that UDP and TCP port 53 are open to everybody"
    elif isinstance(referral.answer, NoReply):
        found, advice = said, f"the name servers of {referral.parent} do not answer either: {referral.answer}"
    else:
        found = f"it is missing: {referral.parent} names no name servers for it"
        advice = f"add NS records for {zone} to {referral.parent}, and the addresses of your DNS servers as glue"
    return Step(Area.DNS, title, Outcome.FAIL, found, advice, facts)


@dataclass(frozen=True, slots=True)
class Place:
    """One address of one name server."""

    name: str
    place: HostPort

    @property
    def title(self) -> str:
        """Who, and where."""
        return f"{self.name} ({self.place.host})"


Seen: TypeAlias = Mapping[Over, Mapping[Question, Answer]]
"""What one place replied: over UDP and over TCP, to the zone's SOA and to the questions about this peer's names."""


def judge_no_address(name: str) -> Step:
    """Of a name server without one."""
    advice = f"add A or AAAA records for {name}; where it lies in the zone itself, as glue in the zone above, too"
    return Step(Area.DNS, name, Outcome.FAIL, "this name server has no address", advice, {"name_server": name})


def judge_place(place: Place, zone: str, seen: Seen, expected: Sequence[Expected]) -> Step:
    """Of what a name server itself says."""
    soa = Question(zone, Type.SOA)
    silent = {over: answers[soa] for over, answers in seen.items() if isinstance(answers[soa], NoReply)}
    serial = serial_of(zone, seen)
    facts: dict[str, object] = {
        "name_server": place.name,
        "address": place.place.host,
        "udp": "UDP" not in silent,
        "tcp": "TCP" not in silent,
        "serial": serial,
        "ttl_seconds": _ttls(seen, expected),
    }

    def step(outcome: Outcome, found: str, advice: str = "") -> Step:
        return Step(Area.DNS, place.title, outcome, found, advice, facts)

    if silent and all(isinstance(answer, NoRoute) for answer in silent.values()):
        return step(Outcome.SKIP, f"not asked: this machine has no way to IPv{6 if ':' in place.place.host else 4}")
    if len(silent) == len(seen):
        reason = next(iter(silent.values()))
        advice = "see that the DNS server runs there, and that UDP and TCP port 53 are open to everybody"
        return step(Outcome.FAIL, f"does not answer, neither over UDP nor over TCP: {reason}", advice)
    if silent:
        ((dead, reason),) = silent.items()
        alive = next(over for over in seen if over not in silent)
        advice = f"open {dead} port 53 there: resolvers need both, and some CAs ask over TCP alone"
        return step(Outcome.FAIL, f"answers over {alive}, but not over {dead}: {reason}", advice)
    if serial is None:
        advice = "have it serve the zone, or take it out of the NS records, here and in the zone above"
        return step(Outcome.FAIL, f"answers, but not for {zone}: a lame delegation", advice)
    wrong = [
        f"{mistake} (over {over})"
        for over, answers in seen.items()
        for one in expected
        if (mistake := mistake_in(one, answers[one.question])) is not None
    ]
    if wrong:
        more = f", and {counted(len(wrong) - 1, 'other mistake')}" if len(wrong) > 1 else ""
        return step(Outcome.FAIL, f"{wrong[0]}{more}", UNTRUE)
    names = f"; {counted(len(expected), 'name')} right" if expected else ""
    right = f"serial {serial}{names}, over UDP and TCP"
    odd = _odd_ttl(_ttls(seen, expected))
    return step(Outcome.WARN, f"{right}; {odd[0]}", odd[1]) if odd else step(Outcome.OK, right)


def judge_serials(zone: str, seen: Mapping[Place, Seen]) -> Step | None:
    """Whether all that answer have the same zone; None where fewer than two do."""
    serials = {place: serial for place, one in seen.items() if (serial := serial_of(zone, one)) is not None}
    if len(serials) < 2:
        return None
    facts = {"serials": {place.title: serial for place, serial in serials.items()}}
    if len(set(serials.values())) == 1:
        return Step(Area.DNS, "serials", Outcome.OK, f"all have serial {next(iter(serials.values()))}", facts=facts)
    each = ", ".join(f"{place.title} has {serial}" for place, serial in serials.items())
    advice = "give all of them the same zone file, and reload them (kill -HUP)"
    return Step(Area.DNS, "serials", Outcome.WARN, f"the zone files differ: {each}", advice, facts)


def judge_resolved(expected: Expected, answer: Answer, *, served: bool) -> Step:
    """Of what the resolver makes of one name; `served`: the zone's name servers themselves have it right."""
    name, value = expected.question.name, expected.value
    peer = peer_from_label(name.partition(".")[0])
    title = f"name of {value if peer is None else brief(peer)}"
    facts: dict[str, object] = {"name": name, "type": expected.question.type.name, "expected": str(expected.value)}
    if isinstance(answer, Reply):
        facts["answers"] = [str(record.value) for record in answer.of(expected.question.type)]
    wrong = mistake_in(expected, answer, recursive=True)
    if wrong is None:
        found = f"{name} is right" if peer is None else f"the {expected.question.type.name} record is right"
        return Step(Area.DNS, title, Outcome.OK, f"{found}, through the resolver", facts=facts)
    if not served:
        advice = "see what the name servers above say"
    elif isinstance(value, str) or is_public(value):
        advice = (
            "the resolver remembers an older answer, or filters: wait for the TTL, or use another with --nameserver"
        )
    else:
        advice = f"many resolvers drop answers with private addresses such as {value}: use another, or a public address"
    return Step(Area.DNS, title, Outcome.FAIL, f"through the resolver: {wrong}", advice, facts)


def nothing_looked_up() -> Step:
    """Without name servers, all that is asked through the resolver says the same once more."""
    found = "not looked up, nor CAA records: see above"
    return Step(Area.DNS, "names of this peer", Outcome.SKIP, found)


def mistake_in(expected: Expected, answer: Answer, *, recursive: bool = False) -> str | None:
    """What is wrong with an answer, if anything is."""
    question = expected.question
    if isinstance(answer, NoReply):
        return f"no answer for {question.name}: {answer}"
    if not recursive and not answer.authoritative:
        return f"it does not answer {question.name} by its own authority"
    values = {record.value for record in answer.of(question.type)}
    if values == {expected.value}:
        return None
    if not values:
        return f"{question.name} has no {question.type.name} record ({emptiness(answer)})"
    return f"{question.name} is {', '.join(sorted(map(str, values)))}, and not {expected.value}"


def serial_of(zone: str, seen: Seen) -> int | None:
    """The serial that a place has, if it answers for the zone."""
    for answers in seen.values():
        answer = answers[Question(zone, Type.SOA)]
        if isinstance(answer, Reply) and answer.authoritative:
            for record in answer.of(Type.SOA):
                if record.name == zone and isinstance(record.value, int):
                    return record.value
    return None


def _ttls(seen: Seen, expected: Iterable[Expected]) -> list[int]:
    questions = {one.question for one in expected}
    return sorted(
        {
            record.ttl_seconds
            for answers in seen.values()
            for question, answer in answers.items()
            if question in questions and isinstance(answer, Reply)
            for record in answer.of(question.type)
        }
    )


def _odd_ttl(ttls: Sequence[int]) -> tuple[str, str] | None:
    if ttls and ttls[0] < SHORT_TTL_SECONDS:
        return (
            f"but resolvers may keep them for {ttls[0]} s only",
            "set the DNS server's `ttl` to an hour or so: what a name spells never changes",
        )
    if ttls and ttls[-1] > LONG_TTL_SECONDS:
        return (
            f"but resolvers may keep them for {ttls[-1] // 86400} days",
            "set the DNS server's `ttl` to a day at most",
        )
    return None


def emptiness(reply: Reply) -> str:
    """In which way a reply has nothing."""
    if reply.code == NO_SUCH_NAME:
        return "NXDOMAIN: no such name"
    return "no data" if reply.code == NO_ERROR else reply.code_name
