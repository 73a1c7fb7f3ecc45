"""How fast the DNS server signs: dnsperf with DO, and the server's CPU time as the operating system counts it.

    python benchmarks/dns_signed.py [--queries N] [--json]

One server with a key, on loopback, and one run for each row:

    unique      A, no name twice: one signature each
    mix         80 % A, 10 % AAAA, 5 % TXT, 5 % names that do not exist (two signatures), no name twice
    repeated    A, a thousand names again and again: from memory
    without DO  the same thousand names: the short path

`per core` is queries by second of the server's CPU time: what one worker does with a core of its own. dnsperf takes its
share of the machine, so `per second`, which the clock on the wall gives, is less.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from nodetrust.dns.dnssec.keys import create
from nodetrust.dns.records import parse_name
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.names import name_for_address, name_for_peer

ZONE = "nt.test"
CHECKOUT = Path(__file__).parent.parent
REPEATED_NAMES = 1000
START_SECONDS = 20.0
PROBE = b"\0\1\0\0\0\1\0\0\0\0\0\0\2nt\4test\0\0\6\0\1"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Row:
    """What one run gave."""

    name: str
    queries: int
    lost: int
    per_second: float
    cpu_microseconds: float
    per_core: float
    resident_megabytes: float


def addresses(count: int, chance: random.Random) -> list[str]:
    """That many different names of IPv4 addresses."""
    return [name_for_address(IPv4Address(number), ZONE) for number in chance.sample(range(1 << 32), count)]


def mix(count: int, chance: random.Random) -> list[str]:
    """Queries of all kinds, in any order."""
    lines = [f"{name} A" for name in addresses(count * 8 // 10, chance)]
    lines += [f"{name_for_address(IPv6Address(chance.getrandbits(128)), ZONE)} AAAA" for _ in range(count // 10)]
    peers = (PrivateKey.from_seed(chance.randbytes(32)).peer_id for _ in range(count // 20))
    lines += [f"{name_for_peer(peer, ZONE)} TXT" for peer in peers]
    lines += [f"ip4256-{number}.{ZONE} A" for number in range(count // 20)]
    chance.shuffle(lines)
    return lines


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_megabytes(pid: int) -> float:
    """What it has in memory."""
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(kilobytes) / 1000


def run(name: str, lines: list[str], folder: Path, server: subprocess.Popen[bytes], port: int, *options: str) -> Row:
    """Send the queries, once each."""
    data = folder / "queries"
    data.write_text("\n".join(lines) + "\n")
    before = cpu_seconds(server.pid)
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(data), "-n", "1", "-c", "16", "-q", "100"]
    printed = subprocess.run([*command, *options], capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(server.pid) - before
    found = re.search(r"Queries completed:\s+(\d+)", printed)
    rate = re.search(r"Queries per second:\s+([\d.]+)", printed)
    if found is None or rate is None:
        raise SystemExit(printed)
    completed = int(found[1])
    per_query = used / completed
    memory = resident_megabytes(server.pid)
    lost = len(lines) - completed
    return Row(name, completed, lost, float(rate[1]), per_query * 1e6, 1 / per_query, memory)


def start(folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The server with a new key, ready; and its port."""
    key = folder / "key"
    create(key, parse_name(ZONE))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "--nodaemon", "--pidfile="]
    command += ["nodetrust-dns", "--zone", ZONE, "--state", str(folder / "state"), "--listen-dns", f"127.0.0.1:{port}"]
    command += ["--listen", "/ip4/127.0.0.1/tcp/0", "--dnssec-key", str(key)]
    with (folder / "log").open("wb") as log:
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    give_up = time.monotonic() + START_SECONDS
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.1)
        while time.monotonic() < give_up:
            try:
                probe.sendto(PROBE, ("127.0.0.1", port))
                probe.recv(512)
            except OSError:
                continue
            return server, port
    server.kill()
    raise SystemExit((folder / "log").read_text())


def main() -> None:
    """Run, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=50_000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    count, chance = arguments.queries, random.Random(1)
    few = [f"{name} A" for name in addresses(REPEATED_NAMES, chance)]
    many = (few * (1 + count // len(few)))[:count]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server, port = start(folder)
        try:
            rows = [
                run("unique", [f"{name} A" for name in addresses(count, chance)], folder, server, port, "-D"),
                run("mix", mix(count, chance), folder, server, port, "-D"),
                run("repeated", many, folder, server, port, "-D"),
                run("without DO", many, folder, server, port, "-e"),
            ]
        finally:
            server.terminate()
            server.wait()
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print(f"{'':12}{'queries':>9}{'lost':>6}{'per second':>12}{'CPU µs':>8}{'per core':>10}{'RSS MB':>8}")
    for row in rows:
        print(
            f"{row.name:12}{row.queries:9}{row.lost:6}{row.per_second:12.0f}{row.cpu_microseconds:8.1f}"
            f"{row.per_core:10.0f}{row.resident_megabytes:8.1f}"
        )


if __name__ == "__main__":
    main()
