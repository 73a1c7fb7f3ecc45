"""Idle WSS connections: what each costs, and what a newcomer waits among them; and TLS handshakes a second.

    python -m benchmarks.wss_idle [--connections 5000] [--js 1000]

Run it in the checkout, where nothing else runs. The server is a process of its own on loopback, with a certificate of
P-256. Each connection is of a peer of its own, with Noise and yamux in the WebSocket and both sides identified: open
for any protocol. Beside it the same without TLS, over TCP, and js-libp2p's listener for secure WebSockets (which comes
with the tests' toolchain) with as many connections as `--js` says.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred

from benchmarks.issue_compare import Task, wait
from tests.interop import toolchain
from tests.libp2p.throwaway_ca import ThrowawayCa

HERE = Path(__file__).parent
NAME = "localhost"
SECURE = f"/tls/sni/{NAME}/ws"
DIALERS = 2
SETTLE_SECONDS = 5.0
IDLE_SECONDS = 30.0
"""In which both ends of each connection ask once whether the other is there."""
HANDSHAKE_SECONDS = 5.0
PARALLEL = 8
DIALS = 50
TICKS = os.sysconf("SC_CLK_TCK")


def peers(name: str, **arguments: Any) -> Task:
    """A task of `benchmarks.wss_peers`."""
    return Task("benchmarks.wss_peers", name, json.dumps(arguments))


class Server:
    """A process that listens, and what the kernel says of it."""

    def __init__(self, process: Task) -> None:
        self.process = process
        self.address = ""

    async def started(self) -> Server:
        """When it listens."""
        self.address = (await self.process.figures())["address"]
        return self

    def resident_bytes(self) -> int:
        """The memory that it has in RAM."""
        return int(self._file("statm").split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self) -> int:
        """How many it has open."""
        return len(os.listdir(f"/proc/{self._pid}/fd"))

    def cpu_seconds(self) -> float:
        """What it has used so far, all threads, in user mode and kernel."""
        after_name = self._file("stat").rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / TICKS

    def _file(self, name: str) -> str:
        return Path(f"/proc/{self._pid}/{name}").read_text()

    @property
    def _pid(self) -> int:
        pid: int = self.process.process.pid  # type: ignore[attr-defined]  # it runs
        return pid


class Bench:
    """Measures, and prints each row as it comes: what, its figure, its target."""

    def __init__(self, folder: Path) -> None:
        ca = ThrowawayCa()
        self._files = {name: str(folder / name) for name in ("key", "chain", "root")}
        contents = dict(zip(self._files, (*ca.issue([NAME]), ca.root_pem), strict=True))
        for name, file in self._files.items():
            Path(file).write_bytes(contents[name])

    def row(self, what: str, figure: str, target: str = "") -> None:
        """Print one."""
        print(f"{what:66}{figure:>12}  {target}", flush=True)

    async def ours(self, layers: str, connections: int) -> Server:
        """Our listener."""
        listen = f"/ip4/127.0.0.1/tcp/0{layers}"
        files = {"key_file": self._files["key"], "chain_file": self._files["chain"]}
        return await Server(peers("serve", listen=listen, connections=connections, **files)).started()

    async def js(self) -> Server:
        """js-libp2p's."""
        node, packages = toolchain.prepare_js()
        program = shutil.copy(HERE / "peers" / "js_wss_listener.mjs", packages)
        return await Server(Task(program, self._files["key"], self._files["chain"], program=[node])).started()

    def dialing(self, name: str, server: Server, **arguments: Any) -> Task:
        """A task of somebody who connects."""
        return peers(name, address=server.address, root_file=self._files["root"], **arguments)

    async def idle(self, what: str, server: Server, count: int, target: str = "") -> None:
        """Memory of idle connections, and the time of new ones."""
        dialers = []
        try:
            without = await self.dialing("dial", server, times=DIALS).figures()
            before = server.resident_bytes()
            for _ in range(DIALERS):
                dialers.append(self.dialing("idle", server, connections=count // DIALERS))
                await dialers[-1].figures()
            await wait(SETTLE_SECONDS)
            cpu = server.cpu_seconds()
            await wait(IDLE_SECONDS)
            cpu = server.cpu_seconds() - cpu
            memory = server.resident_bytes() - before
            among = await self.dialing("dial", server, times=DIALS).figures()
            lost = sum(line["lost"] for dialer in dialers for line in dialer.told)
        finally:
            for process in (*dialers, server.process):
                await process.stop()
        self.row(f"{what}: {count} idle connections, kB each", f"{memory / count / 1e3:.1f}", target)
        self.row("  CPU while nothing happens, %", f"{cpu / IDLE_SECONDS * 100:.1f}")
        self.row("  connect, among them, ms", self._milliseconds(among))
        self.row("    without them, ms", self._milliseconds(without), "want the same")
        self.row("  connections that were lost meanwhile", str(lost), "want 0")

    def _milliseconds(self, figures: Any) -> str:
        return f"{median(figures['each']) * 1e3:.1f}"

    async def rate(self, what: str, server: Server, target: str = "", **arguments: Any) -> None:
        """How many a second, at the clock and by the server's CPU time."""
        name = arguments.pop("task")
        try:
            await self.dialing(name, server, **{**arguments, "seconds": 0.5}).figures()
            cpu = server.cpu_seconds()
            working = [self.dialing(name, server, **arguments) for _ in range(DIALERS)]
            figures = [await one.figures() for one in working]
            cpu = server.cpu_seconds() - cpu
        finally:
            await server.process.stop()
        done = sum(one["done"] for one in figures)
        self.row(f"{what}, a second", f"{done / figures[0]['seconds']:.0f}", target)
        self.row("  for each second of the server's CPU", f"{done / cpu:.0f}")


async def run(options: argparse.Namespace) -> None:
    """All figures."""
    with tempfile.TemporaryDirectory(prefix="nodetrust-benchmark-") as folder:
        bench, count = Bench(Path(folder)), options.connections
        print(f"load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        tls = {"task": "handshakes", "seconds": HANDSHAKE_SECONDS}
        whole = {"task": "connect", "seconds": HANDSHAKE_SECONDS, "parallel": PARALLEL}
        await bench.rate("TLS handshakes", await bench.ours(SECURE, count), "want 500", **tls)
        await bench.rate("connections over WSS", await bench.ours(SECURE, count), **whole)
        if options.js:
            await bench.rate("js-libp2p: TLS handshakes", await bench.js(), **tls)
            await bench.rate("  connections over WSS", await bench.js(), **whole)
        await bench.idle("WSS", await bench.ours(SECURE, count), count, "want 60")
        await bench.idle("WebSocket without TLS", await bench.ours("/ws", count), count)
        await bench.idle("TCP", await bench.ours("", count), count)
        if options.js:
            await bench.idle("js-libp2p, WSS", await bench.js(), options.js)


def main() -> None:
    """Read the options, run on the default reactor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--js", type=int, default=1000, metavar="CONNECTIONS", help="0 leaves js-libp2p out")
    options = parser.parse_args()
    task.react(lambda reactor: Deferred.fromCoroutine(run(options)))


if __name__ == "__main__":
    main()
