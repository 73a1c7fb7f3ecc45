"""The servers of `autotls_compare`, each with all that it needs on one core, and what their processes use of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.dns_servers import process_tree
from tests.interop import toolchain
from tests.interop.forge_pair import Nodetrust, P2pForge, Side
from tests.interop.postgresql import PostgreSQL, programs

SERVER_CORE, CLIENT_CORE = 0, 1
ON_CORE = ("taskset", "--cpu-list", str(SERVER_CORE))
"""From its first instruction on, for Go counts its cores then."""

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """One of those that are compared."""

    name: str
    side: Side
    database: PostgreSQL | None = None

    def cpu_seconds(self) -> dict[str, float]:
        """What each of its processes has used so far, all threads, in user mode and kernel."""
        used = {name: _cpu_seconds(_pid(program)) for name, program in self.side.programs.items()}
        return used if self.database is None else {**used, "postgres": _cpu_seconds(self.database.pid)}

    async def stop(self) -> None:
        """End it."""
        await self.side.stop()
        if self.database is not None:
            self.database.remove()


def p2p_forge(folder: Path, profile: bool) -> Server:
    """As it comes."""
    return Server("p2p-forge", P2pForge(folder, toolchain.prepare_p2p_forge(), before=ON_CORE))


def nodetrust(folder: Path, profile: bool) -> Server:
    """Ours, on SQLite."""
    return Server("nodetrust", Nodetrust(folder, before=ON_CORE, profile=profile))


def with_postgresql(folder: Path, profile: bool) -> Server:
    """Ours, on a PostgreSQL that waits for the disk, and is started now."""
    database = PostgreSQL()
    with _pinned():
        database.make()
        database.start(durable=True)
    side = Nodetrust(folder, before=ON_CORE, store=database.new_database(), profile=profile)
    return Server("with PostgreSQL", side, database)


SERVERS = {"p2p-forge": p2p_forge, "nodetrust": nodetrust}
if programs() is not None:
    SERVERS["postgresql"] = with_postgresql


@contextmanager
def _pinned() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _cpu_seconds(parent: int) -> float:
    ticks = 0
    for pid in process_tree(parent):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])  # its own, and of its children that have ended
    return ticks / TICKS


def _pid(program: Any) -> int:
    return int(program.process.pid)
