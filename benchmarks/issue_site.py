"""The servers of a benchmark, each under twistd in a process of its own, with Pebble as the CA."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from nodetrust.service import KEY_FILE, load_identity
from tests.interop import toolchain
from tests.interop.harness import Daemon
from tests.interop.pebble import Pebble
from tests.interop.test_twistd import ADDRESS, ENVIRONMENT, LOOPBACK, TWISTD

ZONE = "nodetrust.test"
AT_ONCE = {"retryAfter": {"authz": 0, "order": 0}}
"""Of Pebble: it leaves it to the client when to poll."""

TICKS = os.sysconf("SC_CLK_TCK")


class Site:
    """A DNS server, two proof servers, Pebble and the issue server; `stop` ends them."""

    PEBBLE: ClassVar[dict[str, str]] = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"}

    def __init__(self, folder: Path, profile: Path | None = None) -> None:
        self.folder = folder
        self.pebble = Pebble()
        self.issuer = ""
        self.proofs: list[str] = []
        self.running: dict[str, Daemon] = {}
        self.pebble_program = toolchain.prepare().pebble
        self._profile = profile

    async def start(self, **issue_settings: Any) -> None:
        """Start all of them, with these settings of the issue server."""
        admin = load_identity(self.folder / "issue").peer_id
        listen = [LOOPBACK]
        dns = self.run(
            "dns", zone=ZONE, listen=listen, listen_dns=["127.0.0.1:0"], admins=[str(admin)], max_tcp_per_client=1000
        )
        name_server = await dns.logged(r"answers for \S+ on (\S+:\d+)")
        await self.pebble.start(
            self.pebble_program,
            self.folder / "pebble",
            name_server,
            bad_nonce_percent=0,
            environment=self.PEBBLE,
            settings=AT_ONCE,
        )
        for number in (1, 2):
            proof = self.run(f"proof-{number}", listen=listen, allow_private=True)
            self.proofs.append(await proof.logged(ADDRESS))
        settings = {
            "zone": ZONE,
            "listen": listen,
            "proof_servers": self.proofs,
            "dns_servers": [await dns.logged(ADDRESS)],
            "acme_directory": self.pebble.directory,
            "acme_ca_file": str(self.pebble.https_root),
            "acme_profile": "default",
            "agree_to_terms": True,
            "allow_private": True,
            **issue_settings,
        }
        issue = self.run("issue", **settings)
        self.issuer = await issue.logged(ADDRESS)

    def run(self, name: str, **settings: Any) -> Daemon:
        """Run a role; what follows a hyphen in `name` tells several of it apart."""
        file = self.folder / f"{name}.toml"
        settings = {"state": str(self.folder / name), **settings}
        file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
        program = Daemon(name)
        role = name.partition("-")[0]
        profiled = self._profile if role == "issue" else None
        profiling = [] if profiled is None else ["--profiler=cprofile", "--savestats", f"--profile={profiled}"]
        program.spawn([sys.executable, *TWISTD, *profiling, f"nodetrust-{role}", "--config", file], ENVIRONMENT)
        self.running[name] = program
        return program

    @property
    def proof_key_file(self) -> Path:
        """The key of the first proof server, for peers that make their proofs themselves."""
        return self.folder / "proof-1" / KEY_FILE

    def cpu_seconds(self, name: str = "issue") -> float:
        """What a role's process has used so far, all threads, in user mode and kernel."""
        after_name = Path(f"/proc/{self._pid(name)}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / TICKS

    def resident_bytes(self, name: str = "issue") -> int:
        """The memory that a role's process has in RAM."""
        return int(Path(f"/proc/{self._pid(name)}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    async def stop(self) -> None:
        """End all of them, clients of others first."""
        programs: Sequence[Any] = [*reversed(self.running.values()), self.pebble]
        for program in programs:
            await program.stop()

    def _pid(self, name: str) -> int:
        pid = self.running[name].process.pid  # type: ignore[attr-defined]  # it runs
        return int(pid)
