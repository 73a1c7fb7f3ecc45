"""What is said of delegations, name servers and resolvers."""

from dataclasses import replace
from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.diagnosis.steps import Outcome, Step
from nodetrust.client.diagnosis.zone import (
    Answer,
    Expected,
    Place,
    Referral,
    Seen,
    expected_answers,
    judge_delegation,
    judge_place,
    judge_resolved,
    judge_serials,
    name_servers,
)
from nodetrust.client.lookup.errors import NoReply, NoRoute
from nodetrust.client.lookup.wire import NO_SUCH_NAME, Question, Record, Reply, Type, Value
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.settings import HostPort

ZONE = "nt.example.org"
PEER = PrivateKey.generate().peer_id
EXPECTED = expected_answers(PEER, [ip_address("8.8.8.8"), ip_address("2606:4700::1")], ZONE)
SOA = Question(ZONE, Type.SOA)
ONE = Place(f"ns1.{ZONE}", HostPort("192.0.2.53", 53))
TWO = Place(f"ns2.{ZONE}", HostPort("2001:db8::53", 53))


def answer(question: Question, *values: Value, ttl: int = 3600) -> Reply:
    """An authoritative one."""
    records = tuple(Record(question.name, question.type, ttl, value) for value in values)
    return Reply(0, authoritative=True, truncated=False, answers=records)


def right(serial: int = 1, ttl: int = 3600) -> dict[Question, Answer]:
    """All that a name server should say."""
    names = {one.question: answer(one.question, one.value, ttl=ttl) for one in EXPECTED}
    return {SOA: answer(SOA, serial), **names}


SILENT: dict[Question, Answer] = dict.fromkeys(right(), NoReply("no answer within 4 seconds"))


class DelegationTests(SynchronousTestCase):
    """`judge_delegation`."""

    nothing = Reply(NO_SUCH_NAME, authoritative=False, truncated=False)

    def test_by_the_zone(self) -> None:
        """Its own NS records count before those of the zone above."""
        told = answer(Question(ZONE, Type.NS), "b.example", "a.example")
        step = judge_delegation(ZONE, told, None)
        self.assertEqual((step.outcome, step.found), (Outcome.OK, "to a.example, b.example"))

    def test_by_the_zone_above(self) -> None:
        """Delegated, but nobody answers: the names are those that the zone above has for this zone and no other."""
        records = (Record(ZONE, Type.NS, 1, "a.example"), Record("example.org", Type.NS, 1, "other.example"))
        referral = Referral("example.org", replace(self.nothing, code=0, authority=records))
        self.assertEqual(name_servers(ZONE, self.nothing, referral), ["a.example"])
        step = judge_delegation(ZONE, self.nothing, referral)
        self.assertEqual(step.outcome, Outcome.FAIL)
        self.assertIn("example.org delegates it to a.example, but the resolver knows no", step.found)

    def test_failures(self) -> None:
        """Each says what is missing, and where to add it."""
        for told, referral, found, advice in (
            (NoReply("no resolver answers"), None, "no resolver answers", "--nameserver"),
            (self.nothing, None, "NXDOMAIN", "have the zone above"),
            (self.nothing, Referral("example.org", self.nothing), "it is missing", "to example.org"),
            (self.nothing, Referral("example.org", NoReply("silence")), "NXDOMAIN", "do not answer either: silence"),
        ):
            step = judge_delegation(ZONE, told, referral)
            self.assertEqual(step.outcome, Outcome.FAIL)
            self.assertIn(found, step.found)
            self.assertIn(advice, step.advice)


class PlaceTests(SynchronousTestCase):
    """`judge_place`."""

    def judge(self, udp: dict[Question, Answer], tcp: dict[Question, Answer], place: Place = ONE) -> Step:
        return judge_place(place, ZONE, {"UDP": udp, "TCP": tcp}, EXPECTED)

    def test_right(self) -> None:
        """Serial and number of names are told."""
        step = self.judge(right(7), right(7))
        self.assertEqual((step.outcome, step.found), (Outcome.OK, "serial 7; 3 names right, over UDP and TCP"))

    def test_ttl(self) -> None:
        """One that is of no use, and one that keeps a mistake alive."""
        for ttl, words in ((0, "for 0 s only"), (30 * 86400, "for 30 days")):
            step = self.judge(right(ttl=ttl), right(ttl=ttl))
            self.assertEqual(step.outcome, Outcome.WARN)
            self.assertIn(words, step.found)

    def test_silence(self) -> None:
        """Over one or both; where this machine has no way to it, the fault is not the server's."""
        for udp, tcp, words in (
            (SILENT, SILENT, "neither over UDP nor over TCP: no answer within 4 seconds"),
            (SILENT, right(), "answers over TCP, but not over UDP"),
            (right(), SILENT, "answers over UDP, but not over TCP"),
        ):
            step = self.judge(udp, tcp)
            self.assertEqual(step.outcome, Outcome.FAIL)
            self.assertIn(words, step.found)
        unreachable: dict[Question, Answer] = dict.fromkeys(right(), NoRoute("no route"))
        step = self.judge(unreachable, unreachable, TWO)
        self.assertEqual(step.outcome, Outcome.SKIP)
        self.assertIn("IPv6", step.found)

    def test_mistakes(self) -> None:
        """Another address, none, no such name, without authority, not the zone."""
        first = EXPECTED[0].question
        for changed, words in (
            ({first: answer(first, ip_address("8.8.4.4"))}, "is 8.8.4.4, and not 8.8.8.8 (over UDP)"),
            ({first: answer(first)}, "has no A record (no data) (over UDP)"),
            ({first: replace(answer(first), code=NO_SUCH_NAME)}, "NXDOMAIN"),
            ({first: NoReply("silence")}, "no answer for ip48-8-8-8.nt.example.org: silence"),
            ({first: replace(answer(first, EXPECTED[0].value), authoritative=False)}, "its own authority"),
        ):
            step = self.judge({**right(), **changed}, right())
            self.assertEqual(step.outcome, Outcome.FAIL)
            self.assertIn(words, step.found)
        lame = {**right(), SOA: replace(answer(SOA), code=5)}
        self.assertIn("a lame delegation", self.judge(lame, lame).found)

    def test_serials(self) -> None:
        """Only what answers is compared, and one alone with nothing."""

        def seen(serial: int) -> Seen:
            return {"UDP": right(serial), "TCP": right(serial)}

        silent: Seen = {"UDP": SILENT, "TCP": SILENT}
        self.assertIsNone(judge_serials(ZONE, {ONE: seen(1), TWO: silent}))
        for serials, outcome in (((1, 1), Outcome.OK), ((1, 2), Outcome.WARN)):
            step = judge_serials(ZONE, dict(zip((ONE, TWO), map(seen, serials), strict=True)))
            assert step is not None
            self.assertEqual(step.outcome, outcome)


class ResolvedTests(SynchronousTestCase):
    """`judge_resolved`."""

    def test_right(self) -> None:
        """Through an alias as well, without authority."""
        for one in EXPECTED:
            told = replace(answer(one.question, one.value), authoritative=False)
            self.assertEqual(judge_resolved(one, told, served=True).outcome, Outcome.OK)

    def test_advice(self) -> None:
        """It looks to where the fault is: at the name servers, in a cache, or in a filter of private addresses."""
        public = EXPECTED[0]
        private = Expected(Question(f"ip410-0-0-1.{ZONE}", Type.A), ip_address("10.0.0.1"))
        for one, served, advice in (
            (public, False, "see what the name servers above say"),
            (public, True, "remembers an older answer"),
            (private, True, "drop answers with private addresses such as 10.0.0.1"),
        ):
            step = judge_resolved(one, answer(one.question), served=served)
            self.assertEqual(step.outcome, Outcome.FAIL)
            self.assertIn(advice, step.advice)
