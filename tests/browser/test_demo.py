"""`nodetrust demo --browser` with a real browser, whose user has trusted nothing."""

import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor as default_reactor
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.browser.chromium import require_chromium
from tests.browser.devtools import LOOK_SECONDS
from tests.test_processes import NODETRUST, Running

reactor: Any = default_reactor

WRAPPER = """#!/bin/sh
exec {chromium} --headless=new --disable-gpu --disable-dev-shm-usage --remote-debugging-port=0 "$@" 2>/dev/null
"""


class DemoTests(TestCase):
    """The demo as it is started by a person, but for the window."""

    timeout = 120

    async def test_browser(self) -> None:
        """The page finds and dials all four clients; SIGTERM closes the browser, and nothing is left of its profile."""
        folder = Path(tempfile.mkdtemp())  # Trial's are too deep for the browser's own sockets
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        (folder / "tmp").mkdir()
        program = folder / "chromium"
        program.write_text(WRAPPER.format(chromium=require_chromium()))
        program.chmod(0o755)
        path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "HOME": str(folder), "TMPDIR": str(folder / "tmp"), "PATH": path}
        environment["PYTHONPATH"] = str(Path(__file__).parents[2])
        demo = Running()
        reactor.spawnProcess(demo, sys.executable, [*NODETRUST, "demo", "--browser"], environment)
        self.addCleanup(demo.ended)
        self.addCleanup(demo.signal, signal.SIGTERM)
        await demo.line_with("Everything runs")
        while not (titles := await self.titles(folder / "tmp")) or not titles[0].startswith("4 peers"):
            self.assertIsNone(demo.status, demo.printed)
            await deferLater(reactor, LOOK_SECONDS)
        demo.signal(signal.SIGTERM)
        await demo.ended()
        self.assertEqual((demo.status, demo.printed[2]), (0, ""))
        self.assertEqual(list((folder / "tmp").glob("nodetrust-*")), [])

    async def titles(self, folder: Path) -> list[str]:
        """Of the browser's tabs, as its DevTools list them; none before there are any."""
        for file in folder.glob("nodetrust-browser-*/DevToolsActivePort"):
            port = file.read_text().partition("\n")[0]
            if not port:  # not written yet
                return []
            try:
                answer = await treq.get(f"http://127.0.0.1:{port}/json/list", persistent=False)
            except ConnectionRefusedError:
                return []
            return [tab["title"] for tab in json.loads(await treq.content(answer)) if tab["type"] == "page"]
        return []
