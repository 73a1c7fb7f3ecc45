"""What the DNS benchmarks share: name servers of the same zone as child processes, what they cost, and dnsperf."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import label_for_packed_address, label_for_peer

ZONE = "nt.test"
HOST = "127.0.0.1"
TXT, CHAOS = 16, 3
CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGES = {"dnsperf": "dnsperf", "knotd": "knot", "pdns_server": "pdns-server pdns-backend-pipe"}
"""Debian's packages by the programs that they have."""

READY_SECONDS = 20.0
_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
_ZONE_FILE = f"$ORIGIN {ZONE}.\n@ 3600 SOA ns hostmaster 1 7200 900 1209600 60\n@ 3600 NS ns\nns 3600 A {HOST}\n"


def require(*programs: str) -> None:
    """Exit with what to install, if a program is missing."""
    missing = [program for program in programs if shutil.which(program, path=_path()) is None]
    if missing:
        packages = " ".join(PACKAGES[program] for program in missing)
        sys.exit(f"missing: {', '.join(missing)}. On Debian: apt-get install {packages}")


def _path() -> str:
    return os.environ["PATH"] + os.pathsep + "/usr/sbin"


@dataclass
class Server:
    """A name server that answers on `port`."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    started_at: float
    first_answer_seconds: float = 0.0

    def wait_ready(self, query: bytes, expected: bytes) -> None:
        """Ask, from another port each time, until an answer with these octets in it comes."""
        while time.monotonic() - self.started_at < READY_SECONDS and self.process.poll() is None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, suppress(OSError):
                client.settimeout(0.5)
                client.connect((HOST, self.port))
                client.send(query)
                if expected in client.recv(4096):
                    self.first_answer_seconds = time.monotonic() - self.started_at
                    return
            time.sleep(0.005)
        self.stop()
        raise SystemExit(f"{self.name} does not answer")

    def cpu_seconds(self) -> float:
        """User and system time of the process, its threads and its children."""
        ticks = 0
        for pid in process_tree(self.process.pid):
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks * _TICK_SECONDS

    def resident_bytes(self) -> int:
        """Of the process and its children; pages that they share count several times."""
        total = 0
        for pid in process_tree(self.process.pid):
            with suppress(OSError):
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        return total

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def process_tree(pid: int) -> list[int]:
    """A process and all below it."""
    pids = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                pids += process_tree(int(child))
    return pids


def free_port() -> int:
    """A number that nobody has just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])


def start(name: str, command: list[str], port: int, folder: Path, ready: tuple[bytes, bytes] | None = None) -> Server:
    """Start a server whose log goes into the folder, and wait until it answers.

    `ready` is a query and what an answer by this server, and by no other on its port, has in it.
    """
    with (folder / f"{name.replace(' ', '-')}.log").open("ab") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=CHECKOUT, env={**os.environ, "PATH": _path()}
        )
    server = Server(name, process, port, began)
    server.wait_ready(*(ready or (a_query(f"ip41-2-3-4.{ZONE}"), b"\1\2\3\4")))
    return server


def start_nodetrust(folder: Path, port: int, *options: str, name: str = "nodetrust") -> Server:
    """Ours, as an operator would start it."""
    state = folder / f"{name.replace(' ', '-')}-state"
    command = [sys.executable, "-m", "twisted", "nodetrust-dns", "--zone", ZONE, "--listen-dns", f"{HOST}:{port}"]
    command += ["--listen", f"/ip4/{HOST}/tcp/0", "--state", str(state), "--server-id", name, *options]
    return start(name, command, port, folder, (a_query("id.server", TXT, CHAOS), name.encode()))


def start_knot(folder: Path, port: int) -> Server:
    """Knot DNS with mod-synthrecord: A records only, one UDP worker."""
    (folder / "zone").write_text(_ZONE_FILE)
    (folder / "knot.conf").write_text(f"""
server:
    rundir: "{folder}"
    listen: {HOST}@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{folder}/knot-db"
mod-synthrecord:
  - id: ip4
    type: forward
    prefix: ip4
    ttl: 3600
    network: 0.0.0.0/0
zone:
  - domain: {ZONE}
    file: "{folder}/zone"
    module: mod-synthrecord/ip4
""")
    return start("Knot mod-synthrecord", ["knotd", "-c", str(folder / "knot.conf")], port, folder)


def start_powerdns(folder: Path, port: int) -> Server:
    """PowerDNS with a pipe backend in Python, one thread each; its caches are off, since no name comes twice."""
    backend = f"{sys.executable} {CHECKOUT / 'benchmarks' / 'dns_pipe_backend.py'} {ZONE}"
    settings = {
        "launch": "pipe",
        "pipe-command": backend,
        "pipe-abi-version": "1",
        "local-address": HOST,
        "local-port": str(port),
        "receiver-threads": "1",
        "distributor-threads": "1",
        "cache-ttl": "0",
        "query-cache-ttl": "0",
        "negquery-cache-ttl": "0",
        "zone-cache-refresh-interval": "0",
        "socket-dir": str(folder),
        "config-dir": str(folder),
        "daemon": "no",
        "guardian": "no",
        "disable-syslog": "yes",
        "security-poll-suffix": "",
    }
    command = ["pdns_server", *(f"--{key}={value}" for key, value in settings.items())]
    return start("PowerDNS pipe", command, port, folder)


def a_query(name: str, type_: int = 1, class_: int = 1) -> bytes:
    """Without EDNS."""
    wire = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return b"\x12\x34\0\0\0\1\0\0\0\0\0\0" + wire + struct.pack("!BHH", 0, type_, class_)


def write_queries(path: Path, count: int, mix: bool, seed: int = 1) -> None:
    """Unique names for dnsperf: A only, or 80 % A, 10 % AAAA, 5 % TXT and 5 % that do not exist, in random case."""
    randomness = random.Random(seed)
    with path.open("w") as file:
        for _ in range(count):
            share = randomness.random() if mix else 0.0
            ip4 = label_for_packed_address(randomness.randbytes(4))
            if share < 0.8:
                label, type_ = ip4, "A"
            elif share < 0.9:
                label, type_ = label_for_packed_address(randomness.randbytes(16)), "AAAA"
            elif share < 0.95:
                label, type_ = label_for_peer(PeerId(b"\0\x24\x08\1\x12\x20" + randomness.randbytes(32))), "TXT"
            else:
                label, type_ = f"{ip4}-{randomness.randrange(256)}", "A"
            name = f"{label}.{ZONE}"
            if mix:
                name = "".join(letter.upper() if randomness.getrandbits(1) else letter for letter in name)
            file.write(f"{name} {type_}\n")


@dataclass(frozen=True)
class Run:
    """What dnsperf saw."""

    completed: int
    lost: int
    seconds: float
    rcodes: str

    @property
    def per_second(self) -> float:
        """Answers."""
        return self.completed / self.seconds if self.seconds else 0.0


def dnsperf(port: int, queries: Path, *options: str) -> Run:
    """Run it, with EDNS on, and read what it prints."""
    command = ["dnsperf", "-s", HOST, "-p", str(port), "-d", str(queries), "-e", *options]
    return read_dnsperf(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def read_dnsperf(output: str) -> Run:
    """From its summary."""

    def value(label: str) -> str:
        found = re.search(rf"^\s*{label}:\s+(.*)$", output, re.MULTILINE)
        return found[1] if found else ""

    return Run(
        int(value("Queries completed").split()[0]),
        int(value("Queries lost").split()[0]),
        float(value(r"Run time \(s\)") or 0),
        value("Response codes"),
    )
