"""A small internet for AutoTLS: the servers, a node and a visitor, each a host in a network namespace of its own.

All addresses are ordinary ones that js-libp2p and go-libp2p take for public; none of it leaves the namespaces. Our DNS
server, our broker and Pebble run at `SERVERS`, as processes that an operator would start.
"""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue

from nodetrust.keyfile import load_or_create
from nodetrust.service import KEY_FILE
from tests.debian import PATH
from tests.interop.certificates import make_certificate
from tests.interop.harness import Daemon, Program
from tests.interop.pebble import Pebble
from tests.interop.test_twistd import ADDRESS, ENVIRONMENT, NODETRUST, TWISTD

ZONE = "auto.test"
NAME = "registration.auto.test"
SERVERS, NODE, VISITOR = "45.30.1.1", "45.30.2.2", "45.30.3.2"
PRIVATE_NODE, PRIVATE_NETWORK = "10.30.2.2", "10.0.0.0/8"
"""Where the node is as well, for a LAN's broker."""

PEBBLE_PORT, MANAGEMENT_PORT, HTTP_PORT = 14000, 15000, 8080
NAME_SERVER = f"{SERVERS}:53"
COMMAND_SECONDS = 30

_numbers = itertools.count()
_LINKS = (("node", "45.30.2.1", NODE), ("visitor", "45.30.3.1", VISITOR))

_ZONE_FILE = f"""$TTL 60
@ SOA ns hostmaster 1 14400 3600 1209600 60
@ NS ns
ns A {SERVERS}
registration A {SERVERS}
"""

BROKER_PORTS = (8081, 8082)
"""Of two brokers, with a proxy on HTTP_PORT in front of them."""

_DIAL = """
import sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.ping import PING_BYTES, ping
from nodetrust.service import dial_options
from nodetrust.settings import HostPort
from pathlib import Path
from secrets import token_bytes

async def main():
    options = dial_options(reactor, HostPort.parse(sys.argv[2]), Path(sys.argv[3]))
    host = Host(reactor, PrivateKey.generate(), **options)
    connection = await host.connect([Multiaddr.parse(sys.argv[1])])
    await ping(connection, token_bytes(PING_BYTES), reactor)
    print(connection.remote_peer, end="")
    await host.stop()

def ended(_):
    reactor.stop()

dialling = Deferred.fromCoroutine(main())
dialling.addErrback(lambda failure: failure.printTraceback())
dialling.addBoth(ended)
reactor.run()
"""

_ROUND_ROBIN = """
import itertools, socketserver, http.client, http.server, sys
ports = itertools.cycle(map(int, sys.argv[3:]))
class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        there = http.client.HTTPConnection(sys.argv[1], next(ports), timeout=60)
        headers = dict(self.headers.items()) | {"X-Forwarded-For": self.client_address[0]}
        there.request(self.command, self.path, body or None, headers)
        answer = there.getresponse()
        content = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        there.close()
    do_GET = do_POST = do_OPTIONS = do_DELETE = answer
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128
Server((sys.argv[1], int(sys.argv[2])), Proxy).serve_forever()
"""
"""Each request goes to the next broker, whoever sends it."""

_FETCH = """
import sys, ssl, time, urllib.request
context = ssl.create_default_context(cafile=sys.argv[2])
body = sys.stdin.buffer.read() or None
request = urllib.request.Request(sys.argv[1], body, {"User-Agent": "nodetrust-tests"})
for _ in range(300):
    try:
        sys.stdout.buffer.write(urllib.request.urlopen(request, context=context).read())
        break
    except urllib.error.URLError:
        time.sleep(0.1)
"""


class Internet:
    """Three namespaces; those of the node and the visitor are linked to the servers', which forwards."""

    def __init__(self) -> None:
        number = f"{os.getpid()}-{next(_numbers)}"
        self.names = {which: f"nodetrust-{which}-{number}" for which in ("servers", "node", "visitor")}
        self._resolvers: list[Path] = []

    def start(self) -> None:
        """Make them; raises AssertionError with what went wrong."""
        for name in self.names.values():
            self._must("ip", "netns", "add", name)
            self._must("ip", "-n", name, "link", "set", "lo", "up")
        servers = self.names["servers"]
        self._must("ip", "-n", servers, "address", "add", f"{SERVERS}/32", "dev", "lo")
        for which, gateway, address in _LINKS:
            there = self.names[which]
            peer = ["peer", "name", "eth0", "netns", there]
            self._must("ip", "-n", servers, "link", "add", which, "type", "veth", *peer)
            for name, device, own in ((servers, which, gateway), (there, "eth0", address)):
                self._must("ip", "-n", name, "address", "add", f"{own}/24", "dev", device)
                self._must("ip", "-n", name, "link", "set", device, "up")
            self._must("ip", "-n", there, "route", "add", "default", "via", gateway)
        for which, device, address in (("servers", "node", "10.30.2.1"), ("node", "eth0", PRIVATE_NODE)):
            self._must("ip", "-n", self.names[which], "address", "add", f"{address}/24", "dev", device)
        self._must("ip", "netns", "exec", servers, "sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1")

    def stop(self) -> None:
        """Take them away."""
        for name in self.names.values():
            with contextlib.suppress(AssertionError):
                self._must("ip", "netns", "delete", name)
        while self._resolvers:
            shutil.rmtree(self._resolvers.pop())

    def resolve_at(self, which: str) -> None:
        """Programs that are started at a host from now on find our DNS server in their /etc/resolv.conf."""
        folder = Path("/etc/netns") / self.names[which]  # where `ip netns exec` looks
        folder.mkdir(parents=True)
        self._resolvers.append(folder)
        (folder / "resolv.conf").write_text(f"nameserver {SERVERS}\n")

    def at(self, which: str, *command: str | Path) -> list[str | Path]:
        """The command that runs `command` at one of the hosts."""
        return ["ip", "netns", "exec", self.names[which], *command]

    def _must(self, *command: str) -> None:
        done = subprocess.run(
            command,
            env={**os.environ, "PATH": PATH},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.stderr}{done.stdout}")


class PebbleThere(Pebble):
    """Pebble at the servers' host."""

    def __init__(self, internet: Internet) -> None:
        super().__init__()
        self._internet = internet

    async def begin(self, program: Path, folder: Path, life_seconds: int) -> None:
        """Run it, and know its roots. Every certificate lives for so long."""
        files = make_certificate(folder / "https", [SERVERS])
        settings = {
            "listenAddress": f"{SERVERS}:{PEBBLE_PORT}",
            "managementListenAddress": f"{SERVERS}:{MANAGEMENT_PORT}",
            "certificate": str(files.certificate),
            "privateKey": str(files.key),
            # the only one: AutoTLS clients ask for none, and Pebble then chooses
            "profiles": {"default": {"description": "for all", "validityPeriod": life_seconds}},
        }
        configuration = folder / "pebble.json"
        own_settings = self._settings(PEBBLE_PORT, MANAGEMENT_PORT, files)
        configuration.write_text(json.dumps({"pebble": {**own_settings, **settings}}))
        self.directory = f"https://{SERVERS}:{PEBBLE_PORT}/dir"
        self.https_root = files.root
        command: list[str | Path] = [program, "-config", configuration, "-strict", "-dnsserver", NAME_SERVER]
        # else it would sign every second renewal on the word of the last time, and nobody would need the broker
        environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"}
        self.spawn(self._internet.at("servers", *command), environment)
        self._management = f"https://{SERVERS}:{MANAGEMENT_PORT}"
        await self._request(self.directory)
        self.root_pem = await self.root(0)

    async def _request(self, url: str, body: bytes | None = None) -> bytes:
        command = [
            str(part) for part in self._internet.at("servers", sys.executable, "-c", _FETCH, url, self.https_root)
        ]
        out, err, status = await getProcessOutputAndValue(
            command[0], command[1:], dict(os.environ), stdinBytes=body or b""
        )
        if status or err:
            raise AssertionError(f"{url}: {err.decode()}{self.printed()}")
        return bytes(out)


class Forge:
    """The internet with everything that runs at the servers' host; `stop` ends all of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.internet = Internet()
        self.pebble = PebbleThere(self.internet)
        self.broker: Daemon
        self._started: list[Any] = []
        self._settings: dict[str, Any] = {}

    async def start(self, pebble: Path, *, life_seconds: int = 90 * 86400, **broker_settings: Any) -> None:
        """The DNS server, Pebble and the broker, in this order."""
        self.internet.start()
        (self.folder / "zone").write_text(_ZONE_FILE)
        brokers = [load_or_create(self.state(name) / KEY_FILE).peer_id for name in ("autotls", "replica")]
        dns = self.twistd(
            "dns",
            zone=ZONE,
            zone_file=str(self.folder / "zone"),
            listen=[f"/ip4/{SERVERS}/tcp/8953"],
            listen_dns=[NAME_SERVER],
            admins=[str(broker) for broker in brokers],
            challenge_names=[NAME],
            max_tcp_per_client=1000,
        )
        dns_server = await dns.logged(ADDRESS)
        self._started.append(self.pebble)
        await self.pebble.begin(pebble, self.folder, life_seconds)
        (self.folder / "root.pem").write_bytes(self.pebble.root_pem)
        (self.folder / "roots.pem").write_bytes(self.pebble.root_pem + self.pebble.https_root.read_bytes())
        self._settings = {
            "zone": ZONE,
            "registration_name": [NAME],
            "dns_servers": [dns_server],
            "external_tls": [f"{SERVERS}:{HTTP_PORT}"],
            "https_listen": [f"{SERVERS}:443"],
            "acme_directory": self.pebble.directory,
            "acme_ca_file": str(self.pebble.https_root),
            "agree_to_terms": True,
            "trust_file": str(self.folder / "root.pem"),
        }
        self.broker = self.twistd("autotls", **{**self._settings, **broker_settings})
        await self.broker.logged("broker's own certificate is for (.*),")

    async def start_replicas(self, store: str) -> None:
        """In place of the one broker, two on one database, behind a proxy that takes turns with requests."""
        await self.broker.stop()
        for name, port in zip(("autotls", "replica"), BROKER_PORTS, strict=True):
            changes = {
                "state": str(self.state(name)),
                "store": store,
                "external_tls": [f"{SERVERS}:{port}"],
                "https_listen": [],
                "proxies": [f"{SERVERS}/32"],
                "registrations_per_peer": 0,
            }
            broker = self.twistd("autotls", **{**self._settings, **changes})
            await broker.logged(r"answers HTTP on (\S+)")
        first, second = BROKER_PORTS
        # The two requests of a handshake never come to the same one, and either has half of the second ones.
        proxy = [sys.executable, "-c", _ROUND_ROBIN, SERVERS, str(HTTP_PORT), *map(str, (first, second, second, first))]
        self.run(Program("proxy"), "servers", proxy, {})

    async def obtain(self, out: Path, *options: str) -> tuple[int, str, str]:
        """`nodetrust obtain --autotls` at the node's host: its status, and what it printed."""
        where = ["--broker", f"https://{NAME}", "--domain", ZONE, "--acme-directory", self.pebble.directory]
        how: list[str | Path] = ["--nameserver", NAME_SERVER, "--trust-file", self.roots, "--out", out, "--json"]
        command: list[str | Path] = [sys.executable, *NODETRUST, "obtain", "--autotls", *where, *how, *options]
        program, *arguments = map(str, self.internet.at("node", *command))
        printed, err, status = await getProcessOutputAndValue(program, arguments, ENVIRONMENT)
        return int(status), printed.decode(), err.decode()

    async def dial(self, address: str) -> str:
        """Dial with a host of ours, at the visitor's, and ping; the peer that it has met."""
        dial: list[str | Path] = [sys.executable, "-c", _DIAL, address, NAME_SERVER, self.folder / "root.pem"]
        program, *arguments = map(str, self.internet.at("visitor", *dial))
        out, err, _ = await getProcessOutputAndValue(program, arguments, ENVIRONMENT)
        return str((out + err).decode())

    async def stop(self) -> None:
        """Last first."""
        while self._started:
            await self._started.pop().stop()
        self.internet.stop()

    @property
    def roots(self) -> Path:
        """What a client has to trust: Pebble's HTTPS, and what it signs."""
        return self.folder / "roots.pem"

    def state(self, role: str) -> Path:
        """A role's folder."""
        folder = self.folder / role
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def twistd(self, role: str, **settings: Any) -> Daemon:
        """Run a role at the servers' host."""
        file = self.folder / f"{role}.toml"
        settings = {"state": str(self.state(role)), **settings}
        file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
        command: list[str | Path] = [sys.executable, *TWISTD, f"nodetrust-{role}", "--config", file]
        program = Daemon(f"nodetrust-{role}")
        self.run(program, "servers", command, ENVIRONMENT)
        return program

    def run(self, program: Program, which: str, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        """Run a program at one of the hosts."""
        program.spawn(self.internet.at(which, *command), environment)
        self._started.append(program)
