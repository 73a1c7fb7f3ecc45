"""Starts Knot, NSD, BIND, PowerDNS and our own server on loopback, all with the same static zone."""

import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.debian import PATH, find

START_SECONDS = 90.0
STOP_SECONDS = 20.0
ZONE_NAME = "nt.test"
CHECKOUT = Path(__file__).parents[2]

_LONG = "x" * 250
ZONE = f"""$TTL 300
@               3600 SOA ns1 hostmaster 2026010101 7200 900 1209600 60
@                    NS  ns1
@                    NS  ns2
@                    CAA 0 issue "letsencrypt.org; validationmethods=dns-01"
@                    MX  10 mail
@                    TXT "apex"
ns1                  A    198.18.0.1
ns1                  AAAA 2001:db8::1
ns2                  A    198.18.0.2
mail                 A    198.18.0.3
ip41-2-3-4           A    1.2.3.4
ip62001-db8--0       AAAA 2001:db8::
deep.down.there      TXT  "deep"
www                  CNAME ns1
chain                CNAME www
gone                 CNAME ip4256-1-1-1
away                 CNAME host.example.
loop                 CNAME round
round                CNAME loop
*.wild               TXT  "wild"
*.wild               A    198.18.0.4
x.y.wild             A    198.18.0.5
*.alias              CNAME ns1
odd                  TYPE65400 \\# 3 abcdef
big                  TXT  "a{_LONG}" "b{_LONG}" "c{_LONG}" "d{_LONG}"
huge                 TXT  {" ".join(f'"{number}{_LONG}"' for number in range(1, 9))}
sub                  NS   ns.sub
sub                  NS   ns.elsewhere.example.
ns.sub               A    198.18.0.9
many                 NS   ns-a{"a" * 50}.many
many                 NS   ns-b{"b" * 50}.many
many                 NS   ns-c{"c" * 50}.many
many                 NS   ns-d{"d" * 50}.many
{chr(10).join(f"ns-{letter}{letter * 50}.many AAAA 2001:db8::{letter}" for letter in "abcd")}
{chr(10).join(f"ns-{letter}{letter * 50}.many A 198.18.1.{number}" for number, letter in enumerate("abcd"))}
signed               NS   ns.elsewhere.example.
signed               DS   12345 13 2 {"ab" * 32}
"""


def short_folder(case: SynchronousTestCase) -> Path:
    """A new folder for a test's servers: a Unix socket's path has at most 107 bytes, and Trial's own may be longer."""
    folder = TemporaryDirectory(prefix="nodetrust-")
    case.addCleanup(folder.cleanup)
    return Path(folder.name).resolve()


def free_port() -> int:
    """A port of loopback that was free a moment ago, over UDP and TCP: the servers can't choose one and say which.

    Each is given out once, and none of those that the system gives to whoever asks for any: until the server has it,
    somebody's connection might.
    """
    while True:
        port = next(_ports)
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def _all_ports() -> Iterator[int]:
    """Those below the ones that Linux gives out, again and again, from a place that is another for each process."""
    first = 20_000 + os.getpid() % 10_000
    yield from itertools.cycle([*range(first, 32_000), *range(20_000, first)])


_ports = _all_ports()


@dataclass
class Child:
    """A server that runs as a child process; what it prints goes to `log`."""

    name: str
    port: int
    process: "subprocess.Popen[bytes]"
    log: Path
    place: tuple[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.place = ("127.0.0.1", self.port)

    def stop(self) -> None:
        """End it, by its process ID; returns when it is gone."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def wait_until_ready(self, query: bytes, place: tuple[str, int] | None = None) -> None:
        """Return when it answers; raises AssertionError with the end of its log."""
        give_up = time.monotonic() + START_SECONDS
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.1)
            while self.process.poll() is None and time.monotonic() < give_up:
                try:
                    probe.sendto(query, place or self.place)
                    probe.recv(4096)
                except OSError:  # nothing in time, or nobody there yet
                    continue
                else:
                    return
        self.stop()
        raise AssertionError(f"{self.name} does not answer:\n{self.log.read_text(errors='replace')[-3000:]}")


def spawn(name: str, command: Sequence[str | Path], folder: Path, port: int) -> Child:
    """Start a server whose files are in `folder`."""
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env={**os.environ, "PATH": PATH, "PYTHONPATH": str(CHECKOUT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Child(name, port, process, log)


def _program(name: str) -> Path:
    found = find(name)
    assert found is not None, name
    return found


def start_knot(folder: Path, zone: Path, port: int) -> Child:
    """Knot DNS without any module."""
    (folder / "knot.conf").write_text(f"""
server:
    rundir: {folder}
    listen: 127.0.0.1@{port}
    version: ""
    identity: ""
    udp-workers: 1
    tcp-workers: 1
    tcp-io-timeout: 10000
database:
    storage: {folder}
log:
  - target: stderr
    any: info
zone:
  - domain: {ZONE_NAME}
    file: {zone}
    zonefile-sync: -1
    journal-content: none
""")
    return spawn("knot", [_program("knotd"), "-c", folder / "knot.conf"], folder, port)


def start_nsd(folder: Path, zone: Path, port: int) -> Child:
    """NSD with one process, and no version."""
    (folder / "nsd.conf").write_text(f"""
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    chroot: ""
    pidfile: "{folder}/nsd.pid"
    database: ""
    zonelistfile: "{folder}/zone.list"
    xfrdfile: "{folder}/xfrd.state"
    logfile: "{folder}/nsd-own.log"
    server-count: 1
    tcp-count: 1000
    hide-version: yes
    hide-identity: yes
    rrl-ratelimit: 0
    minimal-responses: yes
remote-control:
    control-enable: no
zone:
    name: {ZONE_NAME}
    zonefile: {zone}
""")
    return spawn("nsd", [_program("nsd"), "-d", "-c", folder / "nsd.conf"], folder, port)


def start_bind(folder: Path, zone: Path, port: int) -> Child:
    """BIND, authoritative only."""
    (folder / "named.conf").write_text(f"""
options {{
    directory "{folder}"; pid-file none; session-keyfile none; managed-keys-directory "{folder}";
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    recursion no; allow-transfer {{ none; }}; minimal-any yes; minimal-responses yes; notify no; dnssec-validation no;
    version none; hostname none; server-id none; tcp-clients 1000; empty-zones-enable no;
}};
controls {{ }};
zone "{ZONE_NAME}" {{ type primary; file "{zone}"; }};
""")
    return spawn("bind", [_program("named"), "-g", "-n", "1", "-c", folder / "named.conf"], folder, port)


def start_powerdns(folder: Path, zone: Path, port: int) -> Child:
    """PowerDNS with the backend that reads zone files."""
    (folder / "bind-backend.conf").write_text(f'zone "{ZONE_NAME}" {{ type master; file "{zone}"; }};\n')
    (folder / "pdns.conf").write_text(f"""
launch=bind
bind-config={folder}/bind-backend.conf
bind-check-interval=0
local-address=127.0.0.1
local-port={port}
socket-dir={folder}
daemon=no
guardian=no
webserver=no
api=no
disable-axfr=yes
version-string=anonymous
server-id=disabled
max-tcp-connections=1000
security-poll-suffix=
receiver-threads=1
distributor-threads=1
default-soa-edit=
""")
    return spawn("pdns", [_program("pdns_server"), f"--config-dir={folder}"], folder, port)


def ours_command(folder: Path, zone: Path, places: Sequence[str], name: str) -> list[str | Path]:
    """The command line of our server, to answer for the zone `name` at `places`."""
    command: list[str | Path] = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
    command += ["--nodaemon", "--pidfile=", "nodetrust-dns", "--zone", name, "--zone-file", zone]
    command += ["--state", folder / "state", "--listen", "/ip4/127.0.0.1/tcp/0"]
    for place in places:
        command += ["--listen-dns", place]
    return command


def start_ours(folder: Path, zone: Path, port: int, *options: str, name: str = ZONE_NAME) -> Child:
    """`twistd nodetrust-dns`."""
    return spawn("ours", [*ours_command(folder, zone, [f"127.0.0.1:{port}"], name), *options], folder, port)


STARTERS: dict[str, Callable[[Path, Path, int], Child]] = {
    "ours": start_ours,
    "knot": start_knot,
    "nsd": start_nsd,
    "bind": start_bind,
    "pdns": start_powerdns,
}
ANCHORS = ("knot", "nsd", "bind", "pdns")


def start_all(folder: Path) -> dict[str, Child]:
    """All five with the zone ZONE, each in a folder of its own below `folder`; stop each in the end."""
    zone = folder / "zone"
    folder.mkdir(parents=True)
    zone.write_text(ZONE)
    running: dict[str, Child] = {}
    soa = b"\0\1\0\0\0\1\0\0\0\0\0\0\2nt\4test\0\0\6\0\1"
    try:
        for name, start in STARTERS.items():
            (folder / name).mkdir()
            running[name] = start(folder / name, zone, free_port())
        for child in running.values():
            child.wait_until_ready(soa)
    except BaseException:
        for child in running.values():
            child.stop()
        raise
    return running
