"""The two sides of `autotls_compare`: our broker with its DNS server, and p2p-forge, on one core of loopback."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from benchmarks.dns_servers import free_port, process_tree
from nodetrust.service import load_identity
from tests.interop import toolchain
from tests.interop.harness import Program
from tests.interop.postgresql import PostgreSQL
from tests.interop.test_twistd import ADDRESS, ENVIRONMENT, LOOPBACK, TWISTD, Twistd

DOMAIN = "forge.test"
REGISTRATION = f"registration.{DOMAIN}"
HOST = "127.0.0.1"
NODES = "127.0.0.0/8"
SERVER_CORE, CLIENT_CORE = 0, 1
TICKS = os.sysconf("SC_CLK_TCK")

_ZONE_FILE = f"""$TTL 300
$ORIGIN {DOMAIN}.
@ SOA ns1 hostmaster 1 86400 2400 604800 86400
@ NS ns1
ns1 A {HOST}
registration A {HOST}
"""

_COREFILE = """{domain}:{dns_port} {{
    bind {host}
    errors
    any
    ipparser {domain}
    file {folder}/zones/{domain} {domain}
    acme {domain} {{
        registration-domain {registration} listen-address={host}:0 external-tls=true
        database-type badger {folder}/badger
    }}
}}
"""


class Side(Protocol):
    """One of those that are compared. `connect`: where its HTTP is; `name_server`: where its DNS."""

    name: str
    connect: str
    name_server: str

    async def start(self) -> None:
        """Returns when it answers."""

    def cpu_seconds(self) -> dict[str, float]:
        """What each of its processes has used so far, all threads, in user mode and kernel."""

    async def stop(self) -> None:
        """End it."""


def on_core(core: int, *command: str | Path) -> list[str | Path]:
    """The command that runs `command` on one core: from its first instruction, for Go counts its cores then."""
    return ["taskset", "--cpu-list", str(core), *command]


def cpu_seconds_of(*pids: int) -> float:
    """Of these processes and what is left of their children."""
    ticks = 0
    for pid in (one for parent in pids for one in process_tree(parent)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS


class P2pForge:
    """p2p-forge as it comes, with its DNS and its own database on the disk in the one process that it is."""

    name = "p2p-forge"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = Twistd(self.name)
        self.connect = ""
        self.name_server = f"{HOST}:{free_port()}"

    async def start(self) -> None:
        """With the Corefile of production, but for the addresses and the database, which there is Amazon's."""
        (self._folder / "zones").mkdir(parents=True)
        (self._folder / "zones" / DOMAIN).write_text(_ZONE_FILE)
        corefile = self._folder / "Corefile"
        corefile.write_text(
            _COREFILE.format(
                domain=DOMAIN,
                registration=REGISTRATION,
                host=HOST,
                folder=self._folder,
                dns_port=self.name_server.rpartition(":")[2],
            )
        )
        # It looks for the zone file in its working directory, whatever the Corefile says.
        inside = ["env", f"--chdir={self._folder}"]
        self._program.spawn(on_core(SERVER_CORE, *inside, toolchain.prepare_p2p_forge(), "-conf", corefile))
        self.connect = await self._program.logged(r"Registration HTTP API .* listener at (\S+)")

    def cpu_seconds(self) -> dict[str, float]:
        """All is one process."""
        return {"server": cpu_seconds_of(_pid(self._program))}

    async def stop(self) -> None:
        """End it."""
        await self._program.stop()


class Nodetrust:
    """Our broker and our DNS server, as an operator runs them; `database`: where it is not SQLite."""

    def __init__(self, folder: Path, database: PostgreSQL | None = None, profile: bool = False) -> None:
        self.name = "nodetrust" if database is None else "with PostgreSQL"
        self.connect, self.name_server = "", ""
        self._folder = folder
        self._database = database
        self._profile = profile
        self._programs: dict[str, Twistd] = {}

    async def start(self) -> None:
        """The DNS server, then the broker. It takes loopback for what the nodes are allowed to have."""
        self._folder.mkdir(parents=True)
        (self._folder / "zone").write_text(_ZONE_FILE)
        broker = load_identity(self._folder / "autotls").peer_id
        dns = self._run(
            "dns",
            zone=DOMAIN,
            zone_file=str(self._folder / "zone"),
            listen=[LOOPBACK],
            listen_dns=[f"{HOST}:0"],
            admins=[str(broker)],
        )
        self.name_server = await dns.logged(r"answers for \S+ on (\S+:\d+)")
        settings: dict[str, Any] = {
            "zone": DOMAIN,
            "registration_name": [REGISTRATION],
            "dns_servers": [await dns.logged(ADDRESS)],
            "external_tls": [f"{HOST}:0"],
            "proxies": [f"{HOST}/32"],
            "allow_networks": [NODES],
        }
        if self._database is not None:
            with pinned(SERVER_CORE):
                self._database.make()
                self._database.start(durable=True)
            settings["store"] = self._database.new_database()
        self.connect = await self._run("autotls", **settings).logged(r"answers HTTP on (\S+)")

    def cpu_seconds(self) -> dict[str, float]:
        """The broker, the DNS server, and the database where that is a process."""
        used = {name: cpu_seconds_of(_pid(program)) for name, program in self._programs.items()}
        return used if self._database is None else {**used, "postgres": cpu_seconds_of(self._database.pid)}

    async def stop(self) -> None:
        """End the broker first."""
        for program in reversed(self._programs.values()):
            await program.stop()
        if self._database is not None:
            self._database.remove()

    def _run(self, role: str, **settings: Any) -> Twistd:
        file = self._folder / f"{role}.toml"
        settings = {"state": str(self._folder / role), **settings}
        file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
        profile = ["--profiler=cprofile", "--savestats", f"--profile={self._folder / role}.profile"]
        options: Sequence[str] = [*TWISTD, *(profile if self._profile else []), f"nodetrust-{role}"]
        program = self._programs[role] = Twistd(role)
        program.spawn(on_core(SERVER_CORE, sys.executable, *options, "--config", file), ENVIRONMENT)
        return program


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started meanwhile stays on that core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _pid(program: Program) -> int:
    pid: Any = program.process
    return int(pid.pid)
