"""Adds up a run of tox: `python3 .ci/tally.py STATUS LOG` prints "N passed, N failed", and exits with 1 if one did.

An environment that runs Trial counts with its tests, any other as one. An environment that fails although all of its
tests passed counts as one failure, and so does a run that fails without a failed environment, or in which no test ran.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

TRIAL = re.compile(r"^(?:PASSED|FAILED) \((?P<counts>[^)]*)\)$", re.MULTILINE)
COUNT = re.compile(r"(\w+)=(\d+)")
ENVIRONMENT = re.compile(r"^  (?P<name>[\w.-]+): (?P<outcome>OK|FAIL)\b", re.MULTILINE)
COMMAND = re.compile(r"^(?P<name>[\w.-]+): commands\[\d+\]", re.MULTILINE)

PASSED = {"successes", "expectedFailures"}
FAILED = {"failures", "errors", "unexpectedSuccesses"}


@dataclass
class Tally:
    """Tests and environments, added up."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: "Tally") -> None:
        """Add the other's counts to ours."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def count_trial(text: str) -> Tally | None:
    """The sum over Trial's closing lines in `text`; None if there are none."""
    summaries = TRIAL.findall(text)
    if not summaries:
        return None
    tally = Tally()
    for kind, number in COUNT.findall(" ".join(summaries)):
        tally.passed += int(number) if kind in PASSED else 0
        tally.failed += int(number) if kind in FAILED else 0
        tally.skipped += int(number) if kind == "skips" else 0
    return tally


def sections(log: str) -> dict[str, str]:
    """What each environment printed, by its name: tox puts the name before each command that it runs there."""
    found: dict[str, str] = {}
    end = len(log)
    for match in reversed(list(COMMAND.finditer(log))):
        found[match["name"]] = log[match.start() : end] + found.get(match["name"], "")
        end = match.start()
    return found


def tally_run(status: int, log: str) -> Tally:
    """All environments that tox lists at the end of its log."""
    printed = sections(log)
    total = Tally()
    for environment in ENVIRONMENT.finditer(log):
        passed = environment["outcome"] == "OK"
        tally = count_trial(printed.get(environment["name"], "")) or Tally(passed=int(passed))
        if not passed and tally.failed == 0:
            tally.failed = 1
        total.add(tally)
    if total.failed == 0 and (status != 0 or total.passed == 0):
        total.failed = 1
    return total


def main() -> int:
    """Print the sum; 1 if anything failed."""
    total = tally_run(int(sys.argv[1]), Path(sys.argv[2]).read_text(errors="replace"))
    skipped = f", {total.skipped} skipped" if total.skipped else ""
    sys.stdout.write(f"{total.passed} passed, {total.failed} failed{skipped}\n")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
