"""What is said of an AutoTLS broker."""

from datetime import timedelta

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.certificates import make_key
from nodetrust.client.autotls.errors import BrokerRefused, BrokerUnreachable, BrokerUntrusted
from nodetrust.client.autotls.wire import DialBack, SetValue, Status, Tried
from nodetrust.client.diagnosis.broker import judge_certificate, judge_health, judge_meeting, judge_status
from nodetrust.client.diagnosis.steps import Outcome, Step
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.messages import E_NOT_AUTHORIZED, E_RATE_LIMIT, ECDSA_P256
from tests.client.examples import certificate, moment

URL = "https://registration.example:8443"
NOW = moment(1_800_000_000)
DAY = timedelta(days=1)
MET = Tried("/ip4/1.2.3.4/tcp/4001", None, "")
MISSED = Tried("/ip4/1.2.3.4/tcp/4002", "TIMED_OUT", "no answer")


class HealthTests(SynchronousTestCase):
    def test_well(self) -> None:
        """With how long it took."""
        step = judge_health(URL, 0.0123)
        self.assertEqual((step.title, step.outcome), ("health of registration.example:8443", Outcome.OK))
        self.assertIn("12 ms", step.found)

    def test_not_well(self) -> None:
        """Why, and what to do: about the certificate, about the wait, or else about the way there."""
        for error, advice in (
            (BrokerUnreachable("refused"), "the broker runs"),
            (BrokerUntrusted("no TLS"), "see below"),
            (BrokerRefused("full", E_RATE_LIMIT, 503, 60), "come back in 60 s"),
        ):
            step = judge_health(URL, error)
            self.assertEqual((step.outcome, step.found), (Outcome.FAIL, str(error)))
            self.assertIn(advice, step.advice)


class CertificateTests(SynchronousTestCase):
    def judge(self, *names: str, after: timedelta = DAY, trusted: bool = True) -> Step:
        chain = certificate(make_key(ECDSA_P256), names or ["registration.example"], NOW)
        return judge_certificate(URL, chain.leaf, NOW + after, trusted=trusted)

    def test_good(self) -> None:
        """For the name, or for all of its siblings."""
        for names in ((), ("other.example", "*.example")):
            step = self.judge(*names)
            self.assertEqual((step.outcome, step.advice), (Outcome.OK, ""), step)
        self.assertIn("good for 89 days more", self.judge().found)

    def test_wrong(self) -> None:
        """Over, not begun, for another name, signed by nobody: the first of these is said."""
        for step, words in (
            (self.judge(after=91 * DAY, trusted=False), "it has run out"),
            (self.judge(after=-DAY, trusted=False), "it begins on"),
            (self.judge("other.example", trusted=False), "it is for other.example, and not for registration.example"),
            (self.judge("*.registration.example"), "and not for registration.example"),
            (self.judge("*.deeper.registration.example"), "and not for registration.example"),
            (self.judge(trusted=False), "whom nothing here trusts"),
        ):
            self.assertEqual(step.outcome, Outcome.FAIL)
            self.assertIn(words, step.found)
            self.assertTrue(step.advice)

    def test_nearly_over(self) -> None:
        """Somebody should look after it."""
        step = self.judge(after=82 * DAY)
        self.assertEqual(step.outcome, Outcome.WARN)
        self.assertTrue(step.advice)


class PeerTests(SynchronousTestCase):
    """What has to do with this peer."""

    def test_authentication(self) -> None:
        """Who the broker is, or why nobody knows."""
        broker = PrivateKey.generate().peer_id
        step = judge_meeting(URL, broker)
        self.assertEqual((step.outcome, step.facts["broker"]), (Outcome.OK, str(broker)))
        step = judge_meeting(URL, BrokerRefused("no", E_NOT_AUTHORIZED, 401))
        self.assertEqual((step.outcome, step.found), (Outcome.FAIL, "no"))

    def test_status(self) -> None:
        """Values with their end, and the last dial-back."""
        values = (SetValue("a" * 43, NOW + timedelta(minutes=5)), SetValue("b" * 43, NOW))
        status = Status(values, DialBack(NOW - timedelta(minutes=3), True, (MISSED, MET)))
        set_, dialled = judge_status(URL, status, NOW)
        self.assertEqual((set_.outcome, dialled.outcome), (Outcome.OK, Outcome.OK))
        self.assertIn("2 values set until", set_.found)
        self.assertEqual(dialled.found, f"3 minutes ago it met this peer at {MET.address}")

    def test_a_dial_back_in_vain(self) -> None:
        """Each address, and what to do about it."""
        nothing, dialled = judge_status(URL, Status((), DialBack(NOW, False, (MISSED,))), NOW)
        self.assertEqual((nothing.outcome, dialled.outcome), (Outcome.OK, Outcome.WARN))
        self.assertIn("none is set", nothing.found)
        self.assertEqual(dialled.found, f"just now it did not meet this peer: {MISSED.address}: no answer")
        self.assertTrue(dialled.advice)

    def test_nothing_told(self) -> None:
        """By p2p-forge, by a broker in trouble, and of a peer that it has not dialled."""
        (step,) = judge_status(URL, None, NOW)
        self.assertEqual(step.outcome, Outcome.SKIP)
        (step,) = judge_status(URL, BrokerUnreachable("gone"), NOW)
        self.assertEqual((step.outcome, step.found), (Outcome.WARN, "gone"))
        _, step = judge_status(URL, Status((), None), NOW)
        self.assertEqual(step.outcome, Outcome.SKIP)
