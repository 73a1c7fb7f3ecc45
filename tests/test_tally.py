"""`.ci/tally.py`: no failure may get lost between tox and the last line."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase


def load_tally() -> ModuleType:
    """The script, which is in no package, as a module."""
    path = Path(__file__).parents[1] / ".ci" / "tally.py"
    spec = importlib.util.spec_from_file_location("nodetrust_ci_tally", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def log(*environments: tuple[str, str, str]) -> str:
    """What tox prints: for each name, outcome and output of its command."""
    ran = "".join(f"{name}: commands[0]> something\n{output}\n{name}: done\n" for name, _, output in environments)
    return ran + "".join(
        f"  {name}: {outcome} (1.00=setup[0.50]+cmd[0.50] seconds)\n" for name, outcome, _ in environments
    )


class TallyTests(SynchronousTestCase):
    """Sums over logs of tox."""

    def setUp(self) -> None:
        self.tally = load_tally()

    def check(self, status: int, text: str, expected: tuple[int, int, int]) -> None:
        total = self.tally.tally_run(status, text)
        self.assertEqual((total.passed, total.failed, total.skipped), expected)

    def test_sums_over_environments(self) -> None:
        """Trial's tests are counted one by one, everything else as one."""
        text = log(
            ("lint", "OK", "All checks passed!"),
            ("tests", "OK", "PASSED (skips=3, expectedFailures=1, successes=40)"),
            ("interop", "FAIL code 1", "FAILED (failures=2, errors=1, unexpectedSuccesses=1, successes=5)"),
            ("types", "FAIL code 1", "Found 7 errors"),
        )
        self.check(1, text, (1 + 41 + 5, 4 + 1, 3))

    def test_environment_that_fails_after_its_tests(self) -> None:
        """It counts as a failure although every test passed."""
        self.check(1, log(("tests", "FAIL code 2", "PASSED (successes=9)")), (9, 1, 0))

    def test_several_commands_of_one_environment(self) -> None:
        """What an environment prints is put together, whichever of its commands printed it."""
        text = "tests: commands[0]> a\nPASSED (successes=2)\ntests: commands[1]> b\nPASSED (successes=3)\n"
        self.check(0, text + "  tests: OK (1.00 seconds)\n", (5, 0, 0))

    def test_broken_run(self) -> None:
        """A run without a result, or whose status says more than its environments, has failed."""
        self.check(0, "", (0, 1, 0))
        self.check(1, "ROOT: tox.ini is wrong\n", (0, 1, 0))
        self.check(1, log(("lint", "OK", "")), (1, 1, 0))
