"""A Kubo node at the node's host of `tests.interop.forge`, set up by the commands that docs/autotls.md gives."""

import json
import os
import re
import shlex
from pathlib import Path

from twisted.internet import reactor as default_reactor
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue

from tests.interop.forge import NAME, SERVERS, ZONE, Forge
from tests.interop.harness import Daemon
from tests.interop.toolchain import CHECKOUT

GUIDE = CHECKOUT / "docs" / "autotls.md"
ANNOUNCED_SECONDS = 180.0
LOOK_AGAIN_SECONDS = 1.0
PORT = 4001

_LOCAL = {
    "Addresses.Swarm": [f"/ip4/0.0.0.0/tcp/{PORT}", f"/ip4/0.0.0.0/udp/{PORT}/quic-v1"],
    "Internal.Libp2pForceReachability": "public",
    "Routing.Type": "none",
}
"""What differs from Kubo's profile `test`, which knows no other peer and is on loopback only. There is nobody to tell
the node by AutoNAT that it is public."""


def documented(setting: str, directory: str) -> list[str]:
    """The arguments of the guide's command for `setting`, with the test's names in the place of the guide's."""
    found = re.search(rf"^ipfs (config (?:--json )?{re.escape(setting)} [^#\n]+)", GUIDE.read_text(), re.MULTILINE)
    assert found is not None, f"{GUIDE.name} has no command for {setting}"
    ours = {"https://ca.example.org/directory": directory, "registration.nt.example.org": NAME, "nt.example.org": ZONE}
    command = found[1]
    for guides, tests in ours.items():
        command = command.replace(guides, tests)
    return shlex.split(command)


class Kubo:
    """A repository, and the daemon that `start` runs on it; `Forge.stop` ends that, too."""

    def __init__(self, forge: Forge, program: Path) -> None:
        self.peer_id = ""
        self.daemon: Daemon
        self._forge = forge
        self._program = program
        self._repository = forge.folder / "ipfs"
        self._environment = {
            **os.environ,
            "IPFS_PATH": str(self._repository),
            "IPFS_TELEMETRY": "off",
            "SSL_CERT_FILE": str(forge.roots),
            "GOLOG_LOG_LEVEL": "error,autotls=info",
            "GOLOG_OUTPUT": "stdout",
        }

    async def initialize(self) -> None:
        """A new repository, set up for the forge by the guide's commands."""
        self._forge.hosts.resolve_by("node", SERVERS)
        await self._ipfs("init", "--profile=test")
        for setting, value in _LOCAL.items():
            await self._ipfs("config", "--json", setting, json.dumps(value))
        for setting in ("Enabled", "DomainSuffix", "RegistrationEndpoint", "CAEndpoint"):
            await self.set_up(setting)

    async def set_up(self, setting: str) -> None:
        """Do as the guide says for a setting of AutoTLS."""
        await self._ipfs(*documented(f"AutoTLS.{setting}", self._forge.pebble.directory))

    async def start(self) -> None:
        """Run the daemon, until it is ready."""
        self.daemon = Daemon("kubo")
        self._forge.run(self.daemon, "node", [self._program, "daemon"], self._environment)
        await self.daemon.logged("(Daemon is ready)")
        self.peer_id = json.loads(await self._ipfs("id"))["ID"]

    async def stop(self) -> None:
        """End the daemon, which takes its time."""
        self.daemon.ask_to_end()
        await self.daemon.when_ended()

    async def announced(self) -> str:
        """The address by which browsers reach it, as soon as it tells others of one."""
        give_up = default_reactor.seconds() + ANNOUNCED_SECONDS
        while not self.daemon.ended and default_reactor.seconds() < give_up:
            addresses = json.loads(await self._ipfs("id"))["Addresses"] or []
            if found := [address for address in addresses if "/tls/" in address]:
                (address,) = found
                return str(address)
            await deferLater(default_reactor, LOOK_AGAIN_SECONDS)
        raise AssertionError(f"no address for browsers{self.daemon.printed()}")

    async def _ipfs(self, *arguments: str) -> str:
        program, *rest = map(str, self._forge.hosts.at("node", self._program, *arguments))
        out, err, status = await getProcessOutputAndValue(program, rest, self._environment)
        if status != 0:
            raise AssertionError(f"ipfs {shlex.join(arguments)}: {err.decode()}{out.decode()}")
        return str(out.decode())
