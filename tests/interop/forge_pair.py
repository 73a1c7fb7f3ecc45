"""p2p-forge and ours side by side on loopback, without a CA: HTTP as behind a proxy that has TLS, DNS, and metrics.

The client says as a proxy that a request comes from the node's own address. Nodes are anywhere in 127.0.0.0/8:
p2p-forge dials what it is told, ours is told that the operator has opened that network.
"""

import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodetrust.service import load_identity
from tests.interop.harness import Daemon
from tests.interop.pebble import free_ports
from tests.interop.test_twistd import ADDRESS, ENVIRONMENT, LOOPBACK, TWISTD
from tests.toml import to_toml

DOMAIN = "forge.test"
REGISTRATION = f"registration.{DOMAIN}"
HOST = "127.0.0.1"
METRICS_HOST = "127.0.0.2"
"""Where no port is taken by a listener that may choose its own."""

NODES = "127.0.0.0/8"

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
    prometheus {metrics}
    {denylist}
    ipparser {domain}
    file {folder}/zones/{domain} {domain}
    acme {domain} {{
        registration-domain {registration} listen-address={host}:0 external-tls=true
        database-type badger {folder}/badger
    }}
}}
"""


class Side:
    """One of the two. After `start`, `connect` is where its HTTP is, `name_server` its DNS, `metrics` its metrics."""

    def __init__(self, folder: Path, before: Sequence[str] = ()) -> None:
        self.folder = folder.absolute()
        self.connect = self.name_server = ""
        self.metrics: list[str] = []
        self.programs: dict[str, Daemon] = {}
        self._before = before

    async def start(self) -> None:
        """Returns when it answers."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Last first."""
        for program in reversed(self.programs.values()):
            await program.stop()

    def run(self, name: str, command: Sequence[str | Path]) -> Daemon:
        """Run a program, by way of what is to stand before each command line."""
        program = self.programs[name] = Daemon(name)
        program.spawn([*self._before, *command], ENVIRONMENT)
        return program


class P2pForge(Side):
    """p2p-forge as it comes, with its DNS and its own database on the disk in the one process that it is."""

    def __init__(self, folder: Path, program: Path, deny: Path | None = None, before: Sequence[str] = ()) -> None:
        super().__init__(folder, before)
        self._program = program
        self._deny = deny

    async def start(self) -> None:
        """With the Corefile of production, but for the addresses and the database, which there is Amazon's."""
        dns_port, metrics = _free_dns_port(), _free_metrics_place()
        (self.folder / "zones").mkdir(parents=True)
        (self.folder / "zones" / DOMAIN).write_text(_ZONE_FILE)
        corefile = self.folder / "Corefile"
        corefile.write_text(
            _COREFILE.format(
                domain=DOMAIN,
                registration=REGISTRATION,
                host=HOST,
                folder=self.folder,
                dns_port=dns_port,
                metrics=metrics,
                denylist="" if self._deny is None else f"denylist {{\n file {self._deny} name={self._deny}\n }}",
            )
        )
        # It looks for the zone file in its working directory, whatever the Corefile says.
        inside = ("env", f"--chdir={self.folder}")
        program = self.run("server", [*inside, self._program, "-conf", corefile])
        self.connect = await program.logged(r"Registration HTTP API .* listener at (\S+)")
        self.name_server, self.metrics = f"{HOST}:{dns_port}", [f"http://{metrics}/metrics"]


class Nodetrust(Side):
    """Our broker and our DNS server, as an operator runs them. `store`: the database that is not SQLite."""

    def __init__(
        self,
        folder: Path,
        deny: Path | None = None,
        before: Sequence[str] = (),
        *,
        store: str = "",
        profile: bool = False,
    ) -> None:
        super().__init__(folder, before)
        self._store = store
        self._profile = profile
        self._deny = [] if deny is None else [str(deny)]

    async def start(self) -> None:
        """The DNS server, then the broker."""
        self.folder.mkdir(parents=True)
        (self.folder / "zone").write_text(_ZONE_FILE)
        broker = load_identity(self.folder / "autotls").peer_id
        dns = self._twistd(
            "dns",
            zone=DOMAIN,
            zone_file=str(self.folder / "zone"),
            listen=[LOOPBACK],
            listen_dns=[f"{HOST}:0"],
            admins=[str(broker)],
        )
        self.name_server = await dns.logged(r"answers for \S+ on (\S+:\d+)")
        autotls = self._twistd(
            "autotls",
            zone=DOMAIN,
            registration_name=[REGISTRATION],
            dns_servers=[await dns.logged(ADDRESS)],
            external_tls=[f"{HOST}:0"],
            proxies=[f"{HOST}/32"],
            allow_networks=[NODES],
            store=self._store,
        )
        self.connect = await autotls.logged(r"answers HTTP on (\S+)")

    def _twistd(self, role: str, **settings: Any) -> Daemon:
        file = self.folder / f"{role}.toml"
        metrics = _free_metrics_place()
        self.metrics.append(f"http://{metrics}/metrics")
        settings = {"state": str(self.folder / role), "metrics_listen": metrics, "deny": self._deny, **settings}
        file.write_text(to_toml(settings))
        profile = ["--profiler=cprofile", "--savestats", f"--profile={self.folder / role}.profile"]
        options = [*TWISTD, *(profile if self._profile else []), f"nodetrust-{role}"]
        return self.run(role, [sys.executable, *options, "--config", file])


def _free_metrics_place() -> str:
    [port] = free_ports(1, METRICS_HOST)
    return f"{METRICS_HOST}:{port}"


def _free_dns_port() -> int:
    """A port that was free a moment ago, for UDP and for TCP: p2p-forge does not say which one it has chosen."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind((HOST, 0))
            port: int = udp.getsockname()[1]
            try:
                tcp.bind((HOST, port))
            except OSError:
                continue
            return port
