"""What is said of the records at which a CA looks for a challenge's value."""

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.diagnosis.challenge import judge_challenge, judge_resolved_challenge
from nodetrust.client.diagnosis.steps import Outcome
from nodetrust.client.diagnosis.zone import Answer, Place
from nodetrust.client.lookup.errors import NoReply
from nodetrust.client.lookup.wire import NO_ERROR, NO_SUCH_NAME, SERVER_FAILURE, Record, Reply, Type
from nodetrust.settings import HostPort

NAME = "_acme-challenge.k51.auto.test"
VALUE, OTHER = "a" * 43, "b" * 43
FIRST, SECOND = (Place(f"ns{number}.auto.test", HostPort(f"192.0.2.{number}", 53)) for number in (1, 2))
NOTHING = "not set yet"


def reply(*texts: str, ttl: int = 10, code: int = NO_ERROR) -> Reply:
    """From a name server."""
    records = tuple(Record(NAME, Type.TXT, ttl, text) for text in texts)
    return Reply(code, authoritative=True, truncated=False, answers=records)


class ChallengeTests(SynchronousTestCase):
    def judge(self, first: Answer, second: Answer, promised: Sequence[str] | None = None) -> tuple[Outcome, str]:
        step = judge_challenge(NAME, {FIRST: first, SECOND: second}, promised)
        self.assertEqual(bool(step.advice), step.outcome in (Outcome.FAIL, Outcome.WARN))
        return step.outcome, step.found

    def test_well(self) -> None:
        """None, one, and two, which a broker has set; a server that does not answer is no news."""
        silent = NoReply("silent")
        for first, second, promised, words in (
            (reply(NOTHING), reply(NOTHING), None, "not set yet"),
            (reply(NOTHING), reply(NOTHING), [], "not set yet"),
            (reply(VALUE), reply(VALUE), [VALUE], "1 value set"),
            (reply(VALUE, OTHER), reply(OTHER, VALUE), [VALUE], "2 values set"),
            (reply(NOTHING), silent, None, "not set yet"),
        ):
            self.assertEqual(self.judge(first, second, promised), (Outcome.OK, words))
        self.assertEqual(self.judge(silent, silent)[0], Outcome.SKIP)

    def test_name_servers_that_differ(self) -> None:
        """A CA that asks the other one looks in vain."""
        outcome, found = self.judge(reply(VALUE), reply(NOTHING), [VALUE])
        self.assertEqual(outcome, Outcome.FAIL)
        self.assertIn("ns1.auto.test (192.0.2.1) has 1 value, ns2.auto.test (192.0.2.2) has no value", found)
        self.assertEqual(self.judge(reply(VALUE), reply(OTHER))[0], Outcome.FAIL)

    def test_a_broken_promise(self) -> None:
        """What the broker has set is nowhere."""
        outcome, found = self.judge(reply(NOTHING), reply(NOTHING), [VALUE])
        self.assertEqual((outcome, VALUE in found), (Outcome.FAIL, True))

    def test_what_resolvers_remember(self) -> None:
        """That there is nothing, or the answer for an hour."""
        for answer, words in (
            (reply(code=NO_SUCH_NAME), "not set yet, but ns1.auto.test (192.0.2.1) has no TXT record there (NXDOMAIN"),
            (reply(), "no TXT record there (no data)"),
            (reply(NOTHING, ttl=3600), "for 3600 s"),
            (reply(VALUE, ttl=3600), "1 value set, but"),
        ):
            outcome, found = self.judge(answer, answer)
            self.assertEqual(outcome, Outcome.WARN)
            self.assertIn(words, found)


class ResolverTests(SynchronousTestCase):
    def test_each(self) -> None:
        """A value, none, and a resolver that cannot say."""
        for answer, outcome, words in (
            (reply(VALUE), Outcome.OK, "1 value set"),
            (reply(NOTHING), Outcome.OK, "not set yet"),
            (reply(code=NO_SUCH_NAME), Outcome.OK, "not set yet"),
            (reply(code=SERVER_FAILURE), Outcome.FAIL, "it says SERVFAIL"),
            (NoReply("no resolver answers"), Outcome.FAIL, "no resolver answers"),
        ):
            step = judge_resolved_challenge(NAME, answer)
            self.assertEqual((step.outcome, step.found), (outcome, words))
            self.assertEqual(bool(step.advice), outcome is Outcome.FAIL)
