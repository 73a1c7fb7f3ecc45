"""How a command ends, whatever it does."""

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.command.run import UNREAD

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

COMMAND = """
import click
from rich.console import Console
from nodetrust.command.run import run
async def work(reactor):
    {say}
    return 0
run(work, verbose=False)
"""

OF_A_CA = """
import click
from pathlib import Path
from types import SimpleNamespace
from nodetrust.command import ca
async def work(*_):
    click.echo('said')
ca._read = lambda config: SimpleNamespace(cas=[SimpleNamespace(directory='')])
ca._with = work
ca._run(work, Path(), None)
"""

WAYS = ("click.echo('said')", "Console().print('said')")
"""In which commands say something on stdout."""


class UnreadTests(SynchronousTestCase):
    """`nodetrust … | head -1`."""

    def test_nobody_reads(self) -> None:
        """Where the reader has gone, it ends without a word about it, and its status says so."""
        for command in (*(COMMAND.format(say=say) for say in WAYS), OF_A_CA):
            reader, writer = os.pipe()
            os.close(reader)
            with os.fdopen(writer) as gone:
                ended = subprocess.run(
                    [sys.executable, "-c", command],
                    env=ENVIRONMENT,
                    stdout=gone,
                    stderr=subprocess.PIPE,
                    check=False,
                )
            self.assertEqual((ended.returncode, ended.stderr), (UNREAD, b""), command)

    def test_somebody_reads(self) -> None:
        """Else the status is the command's, and what it says arrives."""
        for say in WAYS:
            command = [sys.executable, "-c", COMMAND.format(say=say)]
            ended = subprocess.run(command, env=ENVIRONMENT, capture_output=True, check=False)
            self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, b"said\n", b""), say)
