"""What is said of the CA from which a peer orders."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.diagnosis.authority import Directory, judge_account, judge_directory
from nodetrust.client.diagnosis.steps import Outcome

URL = "https://ca.example/directory"


class DirectoryTests(SynchronousTestCase):
    def test_of_use(self) -> None:
        """What it is called, if it says so, and whether it does ARI."""
        for directory, words in (
            (Directory(("ca.example",), True, True), "it is ca.example in CAA records; says when to renew"),
            (Directory((), False, True), "it answers; does not say when to renew"),
        ):
            step = judge_directory(URL, directory)
            self.assertEqual((step.outcome, step.found), (Outcome.OK, words))

    def test_of_no_use(self) -> None:
        """One that is away, and one that wants to know its customers first."""
        for directory, words in ((ValueError("away"), "away"), (Directory((), True, False), "external account")):
            step = judge_directory(URL, directory)
            self.assertEqual(step.outcome, Outcome.FAIL)
            self.assertIn(words, step.found)
            self.assertTrue(step.advice)


class AccountTests(SynchronousTestCase):
    def test_each(self) -> None:
        """None yet, known, forgotten, and one that cannot be used."""
        for known, has_key, outcome, words in (
            (None, False, Outcome.SKIP, "with the first order"),
            ("https://ca.example/1", True, Outcome.OK, "knows it"),
            (None, True, Outcome.OK, "made again"),
            (ValueError("deactivated"), True, Outcome.FAIL, "deactivated"),
        ):
            step = judge_account(URL, known, has_key=has_key)
            self.assertEqual(step.outcome, outcome)
            self.assertIn(words, step.found)
            self.assertEqual(bool(step.advice), outcome is Outcome.FAIL)
