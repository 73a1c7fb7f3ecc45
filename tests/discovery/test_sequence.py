"""Numbers that rise for ever."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.discovery import SequenceNumbers, sequence
from nodetrust.discovery.sequence import AHEAD_NS, MAX_NUMBER

HOUR = 3600 * 10**9
NOW = 1_800_000_000 * 10**9


class Killed(BaseException):
    """The process is gone."""


class SequenceCase(SynchronousTestCase):
    def setUp(self):
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "numbers"
        self.now = NOW

    def begin(self):
        """A process starts."""
        return SequenceNumbers(self.path, lambda: self.now)


class NumberTests(SequenceCase):
    def test_the_time(self):
        """They are the clock's nanoseconds, and rise where it stands still or goes back."""
        numbers = self.begin()
        self.assertEqual([numbers(), numbers(), numbers()], [NOW, NOW + 1, NOW + 2])
        self.now += 10
        self.assertEqual(numbers(), NOW + 10)
        self.now -= HOUR
        self.assertEqual(numbers(), NOW + 11)

    def test_another_life(self):
        """The first number of the next life is above all before, with the clock back by years."""
        last = self.begin()()
        self.now -= 10 * 365 * 24 * HOUR
        self.assertGreater(self.begin()(), last)

    def test_lives_that_end_at_once(self):
        """A thousand lives in a second run ahead of the clock by hardly more than one."""
        for _ in range(1000):
            self.begin()()
            self.now += 10**6
        self.assertLess(self.begin()() - self.now, AHEAD_NS + 2 * 10**9)

    def test_writes(self):
        """The disk hears of it once an hour, and at a start."""
        with mock.patch.object(sequence, "replace_file", wraps=sequence.replace_file) as written:
            numbers = self.begin()
            for _ in range(24 * 720):
                self.now += 5 * 10**9
                numbers()
            self.assertLessEqual(written.call_count, 25)
            written.reset_mock()
            self.now -= HOUR
            numbers = self.begin()
            for _ in range(720):
                self.now += 5 * 10**9
                numbers()
            self.assertEqual(written.call_count, 1)


class FaultTests(SequenceCase):
    def test_a_disk_that_takes_nothing(self):
        """Numbers go on from memory; it is said once, and once more when it fails anew after it was well."""
        refusal = OSError(28, "No space left on device")
        with capturedLogs() as logs:
            numbers = self.begin()
            for failing in (True, True, False, True):
                with mock.patch("os.fsync", side_effect=refusal if failing else None):
                    before = numbers()
                    self.now += 2 * HOUR
                    self.assertGreater(numbers(), before)
                    self.now += 2 * HOUR
        self.assertEqual([log["reason"] for log in logs], ["No space left on device"] * 2)

    def test_a_folder_that_is_not_there(self):
        """The same."""
        self.path = self.folder / "none" / "numbers"
        with capturedLogs() as logs:
            self.assertEqual(self.begin()(), NOW)
        self.assertEqual(len(logs), 1)

    def test_a_file_that_is_not_ours(self):
        """It is said, and does not keep us from announcing."""
        for content in (b"", b"x", b"-5\n", b"%d\n" % (MAX_NUMBER + 1), b"9" * 5000, b"\xff\x00"):
            self.path.write_bytes(content)
            with capturedLogs() as logs:
                self.assertEqual(self.begin()(), NOW)
            self.assertEqual(len(logs), 1, content)
        self.path.unlink()
        self.path.mkdir()
        with capturedLogs() as logs:
            self.assertEqual(self.begin()(), NOW)
        self.assertEqual(len(logs), 2)


STEPS = ("tempfile.mkstemp", "os.fchmod", "os.fsync", "os.replace")


class KillTests(SequenceCase):
    def test_at_every_step(self):
        """Killed before or after anything that a write does, at its first and second time, with the clock back."""
        for step in STEPS:
            for time in (1, 2):
                for after in (False, True):
                    with self.subTest(step=step, time=time, after=after):
                        self.path.unlink(missing_ok=True)
                        self.now = NOW
                        self.die_in(step, time, after)

    def die_in(self, step, time, after):
        module, _, name = step.partition(".")
        real, calls = getattr(sys.modules[module], name), []

        def call(*arguments, **named):
            calls.append(None)
            if len(calls) == time and not after:
                raise Killed
            result = real(*arguments, **named)
            if len(calls) == time:
                raise Killed
            return result

        used = []
        with mock.patch(step, call):
            numbers = self.begin()
            try:
                for _ in range(3):
                    used.append(numbers())
                    self.now += 2 * HOUR
            except Killed:
                pass
        self.assertGreaterEqual(len(calls), time)
        self.now = NOW - HOUR
        again = self.begin()
        self.assertGreater(again(), max(used, default=0))

    def test_kill_9(self):
        """A real process is killed at any moment, and its clock is an hour behind in each next life."""
        program = (
            "import sys; from pathlib import Path; from nodetrust.discovery.sequence import SequenceNumbers\n"
            "now = int(sys.argv[2])\n"
            "numbers = SequenceNumbers(Path(sys.argv[1]), lambda: now)\n"
            "while True:\n"
            "    now += 1800 * 10**9\n"
            "    print(numbers(), flush=True)\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        last, moment = 0, random.Random(1)
        for life in range(4):
            command = [sys.executable, "-c", program, str(self.path), str(NOW - life * 1000 * HOUR)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
                lines = [process.stdout.readline() for _ in range(moment.randrange(1, 40))]
                process.send_signal(signal.SIGKILL)
                lines += process.stdout.readlines()
            used = [int(line) for line in lines if line.endswith(b"\n")]
            self.assertEqual(used, sorted(set(used)))
            self.assertGreater(used[0], last)
            last = used[-1]
