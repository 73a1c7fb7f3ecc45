"""Programs that run at hosts of `namespaces`, each with its files in one folder; `stop` ends them, and the hosts."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue

from tests.interop.harness import Daemon, Program
from tests.interop.test_twistd import ENVIRONMENT, NODETRUST, TWISTD
from tests.namespaces import Hosts
from tests.toml import to_toml


class Site:
    """`hosts` are not started yet."""

    def __init__(self, folder: Path, hosts: Hosts) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.hosts = hosts
        self._started: list[Program] = []

    async def stop(self) -> None:
        """Last first."""
        while self._started:
            await self._started.pop().stop()
        self.hosts.stop()

    def state(self, role: str) -> Path:
        """A role's folder."""
        folder = self.folder / role
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def twistd(self, role: str, which: str = "servers", **settings: Any) -> Daemon:
        """Run a role at a host."""
        file = self.folder / f"{role}.toml"
        settings = {"state": str(self.state(role)), **settings}
        file.write_text(to_toml(settings))
        program = Daemon(f"nodetrust-{role}")
        self.run(program, which, [sys.executable, *TWISTD, f"nodetrust-{role}", "--config", file], ENVIRONMENT)
        return program

    def run(self, program: Program, which: str, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        """Run a program at a host."""
        program.spawn(self.hosts.at(which, *command), environment)
        self._started.append(program)

    async def dial_from(self, which: str, address: str, roots: Path, *nameserver: str) -> str:
        """Dial with a host of ours, and ping; the peer that it has met, or what went wrong."""
        _, out, err = await self.python(which, "-m", "tests.interop.dial", address, roots, *nameserver)
        return out or err

    async def nodetrust(self, which: str, *arguments: str | Path) -> tuple[int, str, str]:
        """The command at a host, to its end: its status, and what it printed."""
        return await self.python(which, *NODETRUST, *arguments)

    async def python(self, which: str, *arguments: str | Path) -> tuple[int, str, str]:
        """The same for any Python program."""
        program, *rest = map(str, self.hosts.at(which, sys.executable, *arguments))
        printed, err, status = await getProcessOutputAndValue(program, rest, ENVIRONMENT)
        return int(status), printed.decode(), err.decode()
