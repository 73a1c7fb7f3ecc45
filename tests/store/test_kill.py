"""What the store has acknowledged is there after `kill -9`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

import nodetrust
from nodetrust.store import Store

WRITER = """
import sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from nodetrust.store import Store, StoredAccount

async def write():
    store = await Store.open(reactor, sys.argv[1])
    number = 0
    while True:
        await store.save_account(StoredAccount(f"https://{number}.example/", b"key"))
        print(number, flush=True)
        number += 1

reactor.callWhenRunning(lambda: Deferred.fromCoroutine(write()))
reactor.run()
"""


class KillTests(TestCase):
    """A writer that is killed in the middle of writing."""

    timeout = 60

    async def test_acknowledged_is_kept(self) -> None:
        """Every account whose number was printed before the kill is found afterwards."""
        url = f"sqlite:///{Path(self.mktemp()).absolute()}"
        acknowledged = await deferToThread(self._write_and_kill, url)
        store = await Store.open(reactor, url)
        self.addCleanup(lambda: Deferred.fromCoroutine(store.close()))
        for number in range(acknowledged + 1):
            self.assertIsNotNone(await store.account(f"https://{number}.example/"))

    def _write_and_kill(self, url: str) -> int:
        source = Path(nodetrust.__file__).parent.parent
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, url],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(source)},
        ) as writer:
            lines = [writer.stdout.readline() for _ in range(20)]
            writer.send_signal(signal.SIGKILL)
            lines += writer.stdout.readlines()
        return int([line for line in lines if line.endswith(b"\n")][-1])
