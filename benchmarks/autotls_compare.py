"""Our AutoTLS broker beside p2p-forge: registrations a second on one core, and what each costs.

    python -m benchmarks.autotls_compare [--rounds N] [--registrations N] [--at-once N] [--only NAME ...] [--profile]

Run it in the checkout, where nothing else runs, on two cores or more. The client is p2p-forge's own (`SendChallenge`),
the same process for all, on a core of its own: it opens new go-libp2p nodes on loopback, and then, which is what is
measured, each registers once, at `--at-once` and one after the other. It keeps its HTTP connections, as a proxy in
front would, and says as a proxy that a request comes from the node's own address. Each registration is the two requests
of the handshake and a dial-back with a libp2p handshake; afterwards the client asks the DNS whether each has its value.

The servers have the other core, with all that they need: p2p-forge is one process; ours are the broker and the DNS
server, which confirms the value before the broker answers, and both have it on the disk by then (p2p-forge's database
does not wait for the disk). Servers take turns, another one first in each round, after one that does not count; what is
printed is the median, the least and the most of the rounds.
On a machine that others use, CPU time a registration says more than registrations a second.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pstats
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles

from twisted.internet import task
from twisted.internet.defer import Deferred

from benchmarks.autotls_servers import CLIENT_CORE, SERVER_CORE, SERVERS, Server
from tests.interop import toolchain
from tests.interop.forge_pair import DOMAIN, REGISTRATION
from tests.interop.harness import Peer

WARM_UP = 40
ALONE_SHARE = 4
"""One after the other there are so many times fewer registrations in a round."""


class Client(Peer):
    """p2p-forge's client and its nodes, in one process."""

    patience_seconds = 600.0


@dataclass(frozen=True, slots=True)
class Run:
    """One round: CPU in ms a registration by process, latencies in ms. `busy`: the share of its core that the client
    took; where that is near 1 the client is measured, not the server.
    """

    per_second: float
    cpu: dict[str, float]
    latencies: list[float]
    busy: float
    failed: int
    found: int
    error: str

    def cpu_of(self, process: str) -> float | None:
        """None where the server has no such process."""
        return self.cpu.get(process)

    def latency(self, percent: int) -> float | None:
        """What so many registrations had at most; None where nearly all have failed."""
        return quantiles(self.latencies, n=100)[percent - 1] if len(self.latencies) > 1 else None


async def measure(client: Client, server: Server, numbers: itertools.count[int], count: int, at_once: int) -> Run:
    """New nodes, each at an address, and in a /24, of its own: what is limited by address never applies."""
    places = [divmod(number, 256) for number in itertools.islice(numbers, count)]
    before = server.cpu_seconds()
    told = await client.command(
        "register",
        endpoint=f"http://{REGISTRATION}",
        connect=server.side.connect,
        domain=DOMAIN,
        listen=[f"/ip4/127.{8 + first}.{second}.1/tcp/4001" for first, second in places],
        forwarded=True,
        atOnce=at_once,
    )
    cpu = {name: 1e3 * (used - before[name]) / count for name, used in server.cpu_seconds().items()}
    found = await client.command("lookUp", nameServer=server.side.name_server)
    errors: Sequence[str] = told["errors"]
    return Run(
        per_second=told["registered"] / told["seconds"],
        cpu=cpu,
        latencies=[1e3 * seconds for seconds in told["latencies"]],
        busy=told["cpuSeconds"] / told["seconds"],
        failed=len(errors),
        found=found["found"],
        error=errors[0][:150] if errors else "",
    )


class Table:
    """What was measured, by server and by how many at once."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._runs: defaultdict[tuple[str, int], list[Run]] = defaultdict(list)

    def add(self, name: str, at_once: int, run: Run) -> None:
        """A round's."""
        self._runs[name, at_once].append(run)

    def show(self, at_once: int) -> None:
        """The figures for so many at once."""
        what = "one after the other" if at_once == 1 else f"{at_once} at once"
        print(f"\n{what:34}" + "".join(f"{name:>26}" for name in self._names))
        self._row("registrations a second", at_once, lambda run: run.per_second)
        self._row("CPU, ms a registration", at_once, lambda run: sum(run.cpu.values()))
        for process in dict.fromkeys(process for runs in self._runs.values() for run in runs for process in run.cpu):
            self._row(f"  {process}", at_once, partial(Run.cpu_of, process=process))
        self._row("latency p50, ms", at_once, partial(Run.latency, percent=50))
        self._row("latency p99, ms", at_once, partial(Run.latency, percent=99))
        self._row("the client's core is busy, %", at_once, lambda run: 100 * run.busy)
        self._sum("failed", at_once, lambda run: run.failed)
        self._sum("found in the DNS", at_once, lambda run: run.found)

    def _sum(self, figure: str, at_once: int, read: Callable[[Run], int]) -> None:
        totals = [sum(read(run) for run in self._runs[name, at_once]) for name in self._names]
        print(f"{figure:34}" + "".join(f"{total:>26}" for total in totals))

    def _row(self, figure: str, at_once: int, read: Callable[[Run], float | None]) -> None:
        cells = []
        for name in self._names:
            values = [value for run in self._runs[name, at_once] if (value := read(run)) is not None]
            cell = f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})" if values else ""
            cells.append(f"{cell:>26}")
        print(f"{figure:34}" + "".join(cells), flush=True)


async def compare(options: argparse.Namespace, folder: Path) -> None:
    """All servers run all the time; who has no turn does nothing."""
    client, numbers = Client("client"), itertools.count()
    servers: list[Server] = []
    loads = {options.at_once: options.registrations, 1: max(2, options.registrations // ALONE_SHARE)}
    client.spawn([toolchain.prepare().go_autotls])
    try:
        for name in options.only or SERVERS:
            servers.append(SERVERS[name](folder / name, options.profile))
            await servers[-1].side.start()
            await measure(client, servers[-1], numbers, WARM_UP, options.at_once)
        table = Table([server.name for server in servers])
        for number in range(options.rounds):
            for at_once, count in loads.items():
                first = number % len(servers)
                for server in (*servers[first:], *servers[:first]):
                    run = await measure(client, server, numbers, count, at_once)
                    table.add(server.name, at_once, run)
                    line = f"round {number + 1}, {at_once} at once, {server.name}: {run.per_second:.1f} a second"
                    print(line, f"{run.failed} failed: {run.error}" if run.failed else "", file=sys.stderr, flush=True)
    finally:
        for server in reversed(servers):
            await server.stop()
        await client.stop()
    for at_once in loads:
        table.show(at_once)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--registrations", type=int, default=200, help="in a round")
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--only", nargs="+", choices=SERVERS, metavar="NAME", help="some of " + ", ".join(SERVERS))
    parser.add_argument(
        "--profile", action="store_true", help="show where our servers' time goes; they are slower then"
    )
    options = parser.parse_args()
    if not {SERVER_CORE, CLIENT_CORE} <= os.sched_getaffinity(0):
        sys.exit("it takes two cores: one for the servers, one for the client")
    os.sched_setaffinity(0, {CLIENT_CORE})
    with tempfile.TemporaryDirectory(prefix="nodetrust-benchmark-") as name:
        print(f"load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        folder = Path(name)
        try:
            task.react(lambda _: Deferred.fromCoroutine(compare(options, folder)))
        finally:
            for file in sorted(folder.glob("*/*.profile")):
                print(f"\n{file.parent.name}: {file.stem}")
                pstats.Stats(str(file)).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    main()
