"""What is said of proof servers, where one of their addresses, a clock or a vote is amiss."""

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.diagnosis.proofs import Attempt, judge_agreement, judge_attempts
from nodetrust.client.diagnosis.steps import Outcome
from nodetrust.client.errors import NoProofs
from nodetrust.client.prove import Found
from nodetrust.libp2p.errors import DialError, NoAnswer, StreamReset
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import ProofWrapper
from nodetrust.names import IPAddress
from nodetrust.proofs import OutOfTime, Proven

ONE, TWO = (PrivateKey.generate().peer_id for _ in range(2))
V4, V6 = ip_address("8.8.8.8"), ip_address("2606:4700::1111")
NOW_MS = 1_800_000_000_000


def attempt(server: PeerId, outcome: Found | Exception, family: int = 4) -> Attempt:
    return Attempt(server.multihash, f"server {server}"[:20], family, outcome)


def found(server: PeerId, *addresses: IPAddress, ahead_ms: int = 0) -> Found:
    late = OutOfTime(server, ahead_ms, None) if abs(ahead_ms) > 300_000 else None
    return Found(server, ProofWrapper(), Proven(addresses, NOW_MS + ahead_ms, server, None), late)


SILENT = DialError("all failed", [NoAnswer("timeout")])


class AttemptTests(SynchronousTestCase):
    """`judge_attempts`."""

    def outcomes(self, *attempts: Attempt) -> list[Outcome]:
        return [step.outcome for step in judge_attempts(attempts, NOW_MS)]

    def test_one_family_of_two(self) -> None:
        """A machine without IPv6 is no failure of a server; a server that proves nothing at all has failed."""
        self.assertEqual(
            self.outcomes(attempt(ONE, found(ONE, V4)), attempt(ONE, SILENT, 6)), [Outcome.OK, Outcome.SKIP]
        )
        self.assertEqual(self.outcomes(attempt(ONE, SILENT), attempt(ONE, SILENT, 6)), [Outcome.FAIL] * 2)
        self.assertEqual(self.outcomes(attempt(ONE, found(ONE, V4)), attempt(TWO, SILENT)), [Outcome.OK, Outcome.FAIL])

    def test_clocks(self) -> None:
        """A little off is nothing, more is a warning, too much a failure; if all are off, it may be this machine's."""
        for ahead_ms, outcome in ((5_000, Outcome.OK), (-90_000, Outcome.WARN), (400_000, Outcome.FAIL)):
            steps = judge_attempts(
                [attempt(ONE, found(ONE, V4, ahead_ms=ahead_ms)), attempt(TWO, found(TWO, V4))], NOW_MS
            )
            self.assertEqual([step.outcome for step in steps], [outcome, Outcome.OK])
        self.assertIn("its operator must set its clock", steps[0].advice)
        late = [attempt(one, found(one, V4, ahead_ms=-400_000)) for one in (ONE, TWO)]
        self.assertIn("set this machine's clock", judge_attempts(late, NOW_MS)[0].advice)
        self.assertIn("7 minutes behind", judge_attempts(late, NOW_MS)[0].found)

    def test_refusals(self) -> None:
        """What the server says, and whose matter it is."""
        for error, words in (
            (NoProofs("10.0.0.1 is private"), "allow_private"),
            (StreamReset("gone"), "whether a proof server runs there"),
        ):
            (step,) = judge_attempts([attempt(ONE, error)], NOW_MS)
            self.assertIn(str(error), step.found)
            self.assertIn(words, step.advice)


class AgreementTests(SynchronousTestCase):
    """`judge_agreement`: as `agreed`, which decides for the client."""

    def test_quorum(self) -> None:
        """Enough for all, enough for some, too few, none."""
        both = [attempt(ONE, found(ONE, V4)), attempt(TWO, found(TWO, V4))]
        for attempts, quorum, addresses, outcome in (
            (both, 0, (V4,), Outcome.OK),
            (both, 2, (V4,), Outcome.OK),
            ([*both, attempt(ONE, found(ONE, V6), 6)], 2, (V4,), Outcome.WARN),
            (both[:1], 2, (), Outcome.FAIL),
            ([attempt(ONE, found(ONE, V4)), attempt(TWO, found(TWO, V6))], 2, (), Outcome.FAIL),
            ([attempt(ONE, SILENT)], 1, (), Outcome.FAIL),
        ):
            agreement = judge_agreement(attempts, quorum)
            self.assertEqual((agreement.addresses, agreement.step.outcome), (addresses, outcome))

    def test_wrong_clocks(self) -> None:
        """A proof out of time counts only where there are no others: then the clock here is wrong."""
        late, good = attempt(ONE, found(ONE, V4, ahead_ms=400_000)), attempt(TWO, found(TWO, V6))
        self.assertEqual(judge_agreement([late, good], 1).addresses, (V6,))
        self.assertEqual(judge_agreement([late], 1).addresses, (V4,))
