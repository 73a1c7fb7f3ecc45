"""libp2p.direct in two network namespaces: p2p-forge itself, Pebble, and a node on a host of its own.

`outside` has p2p-forge (DNS and registration, TLS before it) and Pebble, `node` the peer. The addresses are ordinary
ones that p2p-forge and we take for public; none of it leaves the namespaces, where only p2p-forge knows any name.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.dns_oracle.servers import Child, spawn
from tests.interop.certificates import make_certificate
from tests.namespaces import Hosts, finish

DOMAIN = "libp2p.direct"
REGISTRATION = f"registration.{DOMAIN}"
OUTSIDE = "46.30.1.1"
NODE = "46.30.1.9"
FORGE_HTTP_PORT = 8080
ACME_PORT, MANAGEMENT_PORT = 14000, 15000
DIRECTORY = f"https://{OUTSIDE}:{ACME_PORT}/dir"
NINETY_DAYS = 7_776_000  # in seconds

ZONE = f"""$TTL 300
$ORIGIN {DOMAIN}.
@            86400 SOA ns1 hostmaster 2026072001 86400 2400 604800 86400
@            86400 NS  ns1
@                  CAA 0 issue "letsencrypt.org"
ns1                A   {OUTSIDE}
registration       A   {OUTSIDE}
"""

COREFILE = """{domain} {{
    bind {outside}
    errors
    any
    ipparser {domain}
    file {folder}/zones/{domain} {domain}
    acme {domain} {{
        registration-domain {registration} listen-address=127.0.0.1:{http_port} external-tls=true
        database-type badger {folder}/badger
    }}
}}
"""

_FETCH = """
import ssl, sys, time, urllib.request
url, roots, body = sys.argv[1:]
context = ssl.create_default_context(cafile=roots)
request = urllib.request.Request(url, body.encode() or None, {"User-Agent": "nodetrust-tests"})
give_up = time.monotonic() + 30
while True:
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            print(answer.read().decode())
            break
    except OSError as error:
        if time.monotonic() > give_up:
            sys.exit(f"{url}: {error}")
        time.sleep(0.1)
"""


class Libp2pDirect:
    """Start it before use and stop it in the end; its files are in `folder`. `roots` are to be trusted for HTTPS."""

    def __init__(self, folder: Path, forge_program: Path, pebble_program: Path) -> None:
        self.folder = folder.resolve()
        self.roots = self.folder / "roots.pem"
        self.wss_root = self.folder / "wss-root.pem"
        self._forge_program = forge_program
        self._pebble_program = pebble_program
        self.hosts = Hosts("outside", "node")
        self._children: dict[str, Child] = {}

    def start(self, *, token: str = "", life_seconds: int = NINETY_DAYS) -> None:
        """Make the namespaces and start the servers; certificates live so long. Raises AssertionError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_hosts()
        self._start_pebble(life_seconds)
        self._start_server(token)
        self._start_tls()
        self.roots.write_bytes((self.folder / "https" / "root.pem").read_bytes())
        self.fetch(f"{DIRECTORY}")
        self.wss_root.write_text(self.fetch(f"https://{OUTSIDE}:{MANAGEMENT_PORT}/roots/0"))
        self.fetch(f"https://{REGISTRATION}/v1/health")

    def stop(self) -> None:
        """End the processes, then the namespaces."""
        while self._children:
            self._children.popitem()[1].stop()
        self.hosts.stop()

    def run(self, which: str, *command: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run a program there to its end."""
        return finish(*self.hosts.at(which, *command))

    def start_child(self, name: str, which: str, *command: str | Path) -> None:
        """Start a program there; `stop` ends it, and so does `stop_child`."""
        self._children[name] = spawn(name, self.hosts.at(which, *command), self.folder, 0)

    def stop_child(self, name: str) -> None:
        """SIGTERM; returns when it is gone."""
        self._children.pop(name).stop()

    def kill_child(self, name: str) -> None:
        """SIGKILL."""
        process = self._children.pop(name).process
        process.kill()
        process.wait()

    def fetch(self, url: str, body: str = "") -> str:
        """What an HTTPS server outside says, as soon as it does."""
        done = self.run("outside", sys.executable, "-c", _FETCH, url, self.roots, body)
        assert done.returncode == 0, done.stderr + self.logs()
        return done.stdout

    def tell_renewal(self, certificate_pem: bytes, answer: str) -> None:
        """Have Pebble say this when it is asked when to renew the certificate."""
        told = json.dumps({"Certificate": certificate_pem.decode(), "ARIResponse": answer})
        self.fetch(f"https://{OUTSIDE}:{MANAGEMENT_PORT}/set-renewal-info/", told)

    def log(self, name: str) -> str:
        """What a child has printed."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def logs(self) -> str:
        """The end of what all have printed."""
        return "\n".join(f"{log.name}:\n{log.read_text(errors='replace')[-4000:]}" for log in self.folder.glob("*.log"))

    def wait(self, holds: Callable[[], bool], what: str, seconds: float) -> None:
        """Return when it holds; raises AssertionError with what everybody has printed."""
        give_up = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < give_up, f"not within {seconds} seconds: {what}\n{self.logs()}"
            time.sleep(0.1)

    def _make_hosts(self) -> None:
        self.hosts.start()
        self.hosts.cable("outside", "eth0", "node", "eth0")
        for which, address in (("outside", OUTSIDE), ("node", NODE)):
            self.hosts.give(which, "eth0", f"{address}/24")
            self.hosts.resolve_by(which, OUTSIDE)
        self.hosts.route("node", "default", OUTSIDE)

    def _start_server(self, token: str) -> None:
        (self.folder / "zones").mkdir()
        (self.folder / "zones" / DOMAIN).write_text(ZONE)  # where p2p-forge itself looks, too
        (self.folder / "Corefile").write_text(
            COREFILE.format(
                domain=DOMAIN,
                outside=OUTSIDE,
                folder=self.folder,
                registration=REGISTRATION,
                http_port=FORGE_HTTP_PORT,
            )
        )
        secret = [f"FORGE_ACCESS_TOKEN={token}"] if token else []
        self.start_child("forge", "outside", "env", *secret, self._forge_program, "-conf", self.folder / "Corefile")

    def _start_tls(self) -> None:
        https = self.folder / "https"
        tls_end = [sys.executable, "-m", "tests.interop.tls_end", OUTSIDE, "443"]
        self.start_child("tls", "outside", *tls_end, https / "certificate.pem", https / "key.pem", str(FORGE_HTTP_PORT))

    def _start_pebble(self, life_seconds: int) -> None:
        files = make_certificate(self.folder / "https", [OUTSIDE, REGISTRATION])
        settings = {
            "listenAddress": f"{OUTSIDE}:{ACME_PORT}",
            "managementListenAddress": f"{OUTSIDE}:{MANAGEMENT_PORT}",
            "certificate": str(files.certificate),
            "privateKey": str(files.key),
            "keyAlgorithm": "ecdsa",
            "retryAfter": {"authz": 1, "order": 1},
            "caaIdentities": ["letsencrypt.org"],
            "profiles": {"default": {"description": "of the test", "validityPeriod": life_seconds}},
        }
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        command: Sequence[str | Path] = [self._pebble_program, "-config", self.folder / "pebble.json", "-strict"]
        self.start_child(
            "pebble",
            "outside",
            "env",
            "PEBBLE_VA_NOSLEEP=1",
            "PEBBLE_AUTHZREUSE=0",
            *command,
            "-dnsserver",
            f"{OUTSIDE}:53",
        )
