"""Streams of ours as asyncio's: in a process of its own, for Trial has another reactor in this one."""

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

SCRIPT = Path(__file__).with_name("asyncio_script.py")
SECONDS = 300


class AsyncioTests(SynchronousTestCase):
    """The script checks one thing after the other, and says which."""

    def test_the_script(self) -> None:
        """Data both ways, ends, resets, slow readers, who waits; ends of hook and client; early handlers; one loop."""
        checkout = SCRIPT.parents[2]
        done = subprocess.run(
            [sys.executable, str(SCRIPT)],
            env={**os.environ, "PYTHONPATH": str(checkout)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        as_it_should_be = ["echo", "end", "reset", "slow", "bug", "hook", "watch", "early", "one"]
        self.assertEqual((done.returncode, done.stdout.split()), (0, as_it_should_be), done.stderr)
