"""CAA records as a CA reads them, and what is said of them."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.diagnosis.caa import (
    Climbed,
    Orderer,
    judge_ca,
    judge_caa,
    judge_issuers_cas,
    parents,
    read_permission,
)
from nodetrust.client.diagnosis.steps import Outcome
from nodetrust.client.lookup.wire import Record, Type

ZONE = "nt.example.org"


def record(value: str, tag: str = "issue", flags: int = 0) -> Record:
    """One at the zone's apex."""
    return Record(ZONE, Type.CAA, 3600, bytes([flags, len(tag)]) + tag.encode() + value.encode())


class PermissionTests(SynchronousTestCase):
    """The value of `issue` and `issuewild`."""

    def test_conditions(self) -> None:
        """Account and methods, with or without spaces around them; others are passed over."""
        for value, expected in (
            ("ca.example", "ca.example"),
            ("CA.example ; ", "ca.example"),
            ("ca.example; accounturi=https://ca.example/a/1", "ca.example (account https://ca.example/a/1)"),
            ("ca.example;validationmethods=DNS-01,http-01;x=y", "ca.example (by dns-01, http-01)"),
            ("ca.example; validationmethods = dns-01", "ca.example (by dns-01)"),
            ("ca.example; validationmethods=", "ca.example (by no method at all)"),
        ):
            self.assertEqual(str(read_permission(value)), expected)

    def test_nobody(self) -> None:
        """An empty issuer forbids all, and so does a value with a fault (RFC 8659 §4.2)."""
        for value in ("", ";", " ; ", "%%%", "ca_x.example", "ca.example; account", "ca.example; a=b; ;"):
            self.assertIsNone(read_permission(value), value)

    def test_methods_of_ours(self) -> None:
        """Those of DNS."""
        for methods, fits in (("dns-01", True), ("http-01,dns-persist-01", True), ("http-01", False), ("", False)):
            permission = read_permission(f"ca.example; validationmethods={methods}")
            assert permission is not None
            self.assertEqual(permission.fits, fits)


class JudgementTests(SynchronousTestCase):
    """The steps."""

    def judge(self, *records: Record, wildcards: bool = False) -> list[tuple[Outcome, str]]:
        steps = judge_caa(Climbed("a", ZONE if records else None, records), ["a"], wildcards=wildcards)
        self.assertTrue(all(bool(step.advice) == (step.outcome is not Outcome.OK) for step in steps))
        return [(step.outcome, step.found) for step in steps]

    def test_what_records_mean(self) -> None:
        """Who may sign, and a failure exactly where nobody may in the way that issue servers do it."""
        ca, other = "ca.example; validationmethods=dns-01", "other.example; validationmethods=http-01"
        for records, outcome, words in (
            ((), Outcome.OK, "any CA may sign"),
            ((record("mailto:a@example.org", "iodef"),), Outcome.OK, "any CA may sign"),
            ((record(ca),), Outcome.OK, "only ca.example (by dns-01) may sign"),
            ((record(";"), record(ca)), Outcome.OK, "only ca.example"),
            ((record(";"),), Outcome.FAIL, "nobody may sign"),
            ((record(other),), Outcome.FAIL, "only other.example (by http-01)"),
            ((record(other), record(ca)), Outcome.WARN, "other.example (by http-01), ca.example (by dns-01)"),
            ((record(ca), record("x", "tbs", 128)), Outcome.FAIL, "the tag tbs"),
            ((record(ca), record("x", "tbs")), Outcome.OK, "only ca.example"),
            ((record(ca), Record(ZONE, Type.CAA, 1, b"\x00")), Outcome.FAIL, "cannot be read"),
            ((record(ca), record(";", "issuewild")), Outcome.OK, "only ca.example"),
        ):
            ((actual, found),) = self.judge(*records)
            self.assertEqual(actual, outcome, found)
            self.assertIn(words, found)

    def test_wildcards(self) -> None:
        """`issuewild` stands for them in the place of `issue`; where they are not wanted it is no matter."""
        plain, wild = self.judge(record("ca.example"), record(";", "issuewild"), wildcards=True)
        self.assertEqual((plain[0], wild[0]), (Outcome.OK, Outcome.FAIL))
        self.assertEqual(len(self.judge(record("ca.example"), wildcards=True)), 1)

    def test_no_answer(self) -> None:
        """What nobody knows is a warning: other resolvers may know it."""
        (step,) = judge_caa(Climbed("a", failure="SERVFAIL at example"), ["a"], wildcards=True)
        self.assertEqual(step.outcome, Outcome.WARN)
        self.assertIn("SERVFAIL at example", step.found)

    def test_our_ca(self) -> None:
        """Whether one CA may sign, for one account; nothing is said where the records do not say, or it has been."""
        dns, http = "ca.example; validationmethods=dns-01", "ca.example; validationmethods=http-01"
        bound = "ca.example; accounturi=https://ca.example/1"
        us, new = Orderer(("ca.example", "ca.test"), "https://ca.example/1"), Orderer(("ca.example",))
        stranger, unnamed = Orderer(("b.example",)), Orderer(())
        for values, orderer, outcome in (
            ((), us, None),
            ((";",), us, None),
            ((dns,), unnamed, None),
            ((http,), us, None),
            ((dns,), us, Outcome.OK),
            (("other.example", dns), us, Outcome.OK),
            ((dns,), stranger, Outcome.FAIL),
            ((bound,), us, Outcome.OK),
            ((bound,), new, Outcome.FAIL),
            ((bound.replace("/1", "/2"), dns), us, Outcome.OK),
        ):
            step = judge_ca(Climbed("a", ZONE, tuple(map(record, values))), orderer)
            self.assertEqual(None if step is None else step.outcome, outcome, (values, step))
            self.assertEqual(bool(step and step.advice), outcome is Outcome.FAIL)
        wild = (record(dns), record("other.example", "issuewild"))
        step = judge_ca(Climbed("a", ZONE, wild), us)
        assert step is not None
        self.assertEqual(step.outcome, Outcome.FAIL)

    def test_cas_of_an_issue_server(self) -> None:
        """Each that the records speak of; where another one may sign, that is no failure; the worse of two counts."""
        ours, other = Orderer(("ca.example",), "https://ca.example/1"), Orderer(("b.example",), "https://b.example/2")
        unnamed = Orderer(())
        bound = record("ca.example; accounturi=https://ca.example/9")
        ok, warn, fail = Outcome.OK, Outcome.WARN, Outcome.FAIL
        for records, orderers, wildcards, outcomes in (
            ((), (ours, other), True, []),
            ((record(";"),), (ours, other), True, []),
            ((record("ca.example"),), (ours,), False, [ok]),
            ((record("ca.example"),), (ours, other, unnamed), False, [ok, warn]),
            ((record("pki.example"),), (ours, other), False, [fail, fail]),
            ((bound,), (ours,), False, [fail]),
            ((bound, record("b.example")), (ours, other), False, [warn, ok]),
            ((record("ca.example"), record("b.example", "issuewild")), (ours,), False, [ok]),
            ((record("ca.example"), record("b.example", "issuewild")), (ours,), True, [fail]),
            ((record("b.example"), record("ca.example", "issuewild")), (ours,), True, [fail]),
        ):
            steps = judge_issuers_cas(Climbed("a", ZONE, records), orderers, wildcards=wildcards)
            self.assertEqual([step.outcome for step in steps], outcomes, (records, steps))
            self.assertTrue(all(bool(step.advice) == (step.outcome is not ok) for step in steps))
        (step,) = judge_issuers_cas(Climbed("a", ZONE, (bound,)), (ours,), wildcards=False)
        self.assertIn("https://ca.example/1", step.advice)
        (step,) = judge_issuers_cas(Climbed("a", ZONE, (bound,)), (Orderer(("ca.example",)),), wildcards=False)
        self.assertNotIn("None", step.advice)

    def test_climbing(self) -> None:
        """From the name up to the top-level domain."""
        self.assertEqual(parents("a.b.c"), ["a.b.c", "b.c", "c"])
