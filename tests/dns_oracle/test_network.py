"""A DNS server on a network that takes nothing: strace lets the system refuse what it sends."""

import subprocess
import threading
from pathlib import Path

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.dns.process import ServerProcess
from tests.dns_oracle.toolchain import require

NAME = "ip41-2-3-4.nt.test"
PATIENCE_SECONDS = 1.0
"""For an answer, which strace has stopped on its way."""


class NetworkTests(TestCase):
    """One server, one fault."""

    timeout = 300

    async def test_network_that_takes_nothing(self) -> None:
        """Of answers that the system refuses to send, every other one here, none is a traceback; the others arrive."""
        require("strace")
        server: ServerProcess = await deferToThread(ServerProcess, Path(self.mktemp()))
        self.addCleanup(server.kill)
        strace = await deferToThread(self._inject, server, "sendto,sendmsg,sendmmsg:error=ENOBUFS:when=1+2")
        answers = [await deferToThread(server.ask, NAME, "A", PATIENCE_SECONDS) for _ in range(20)]
        strace.terminate()
        await deferToThread(strace.wait)
        self.assertEqual(len([answer for answer in answers if answer is not None]), 10)
        self.assertEqual([line for line in server.lines if "Traceback" in line], [])
        self.assertIsNotNone(await deferToThread(server.ask, NAME))

    def _inject(self, server: ServerProcess, fault: str) -> "subprocess.Popen[str]":
        command = ["strace", "-f", "-p", str(server.process.pid), "-e", f"inject={fault}"]
        strace = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert strace.stderr is not None
        line = strace.stderr.readline()
        if "attached" not in line:
            raise AssertionError(f"strace may not attach here: {line.strip()}")
        threading.Thread(target=strace.stderr.read, daemon=True).start()
        return strace
