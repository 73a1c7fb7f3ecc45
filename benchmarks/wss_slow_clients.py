"""What crowds of slow WSS clients do to honest ones, in each state of a connection before a peer is known.

    python -m benchmarks.wss_slow_clients [--clients 5000] [--only KIND ...]

Run it in the checkout, where nothing else runs. The server, the crowd and the honest peer are processes of their own on
loopback. For each kind, `clients` connections at once, which do what it says and then no more, or a byte a second;
meanwhile an honest peer connects over WSS, with Noise, again and again. Printed: how many the server held at once, how
long after the last one had connected it had closed them all, and what honest peers waited, beside what they waited
before. The kinds stand in benchmarks/wss_peers.py.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred

from benchmarks.issue_compare import wait
from benchmarks.wss_idle import SECURE, Bench, Server
from benchmarks.wss_peers import KINDS

ALONE_SECONDS = 3.0
GIVE_UP_SECONDS = 40.0
LOOK_SECONDS = 0.1
HONEST = 2
"""Descriptors that the honest peer may have open at the moment."""


def told(honest: list[Any]) -> str:
    """What honest peers waited."""
    each = [line["seconds"] * 1e3 for line in honest if "seconds" in line]
    failed = [line["failed"] for line in honest if "failed" in line]
    waited = f"{mean(each):.1f} ms (at most {max(each):.0f})" if each else "for ever"
    return f"{waited}, {len(failed)} of {len(honest)} were dropped"


async def measure(bench: Bench, server: Server, kind: str, clients: int) -> None:
    """Print what came of one crowd."""
    before = server.descriptors()
    honest = bench.dialing("keep_dialing", server)
    crowd = None
    try:
        await honest.figures()  # the first one warms up
        await wait(ALONE_SECONDS)
        alone, honest.told = honest.told, []
        crowd, most = bench.dialing("crowd", server, kind=kind, clients=clients), 0
        since = None
        while since is None or (server.descriptors() > before + HONEST and time.monotonic() - since < GIVE_UP_SECONDS):
            await wait(LOOK_SECONDS)
            most = max(most, server.descriptors() - before)
            if since is None and crowd.told:
                since = time.monotonic()
        seconds, left = time.monotonic() - since, max(0, server.descriptors() - before - HONEST)
        among, came = honest.told, await crowd.figures()
    finally:
        for process in (honest, crowd):
            if process is not None:
                await process.stop()
    print(
        f"{kind:20} {came['connected']} of {clients} connected within {came['seconds']:.1f} s, at most {most} at once, "
        f"{left} left {seconds:.1f} s later;\n{'':20} honest peers waited {told(among)}, and before {told(alone)}",
        flush=True,
    )


async def run(options: argparse.Namespace) -> None:
    """All kinds."""
    with tempfile.TemporaryDirectory(prefix="nodetrust-benchmark-") as folder:
        bench = Bench(Path(folder))
        print(f"load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        server = await bench.ours(SECURE, options.clients)
        try:
            for kind in options.only or KINDS:
                await measure(bench, server, kind, options.clients)
        finally:
            await server.process.stop()


def main() -> None:
    """Read the options, run on the default reactor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=5000)
    parser.add_argument("--only", nargs="+", choices=KINDS, metavar="KIND", help="some of " + ", ".join(KINDS))
    options = parser.parse_args()
    task.react(lambda reactor: Deferred.fromCoroutine(run(options)))


if __name__ == "__main__":
    main()
