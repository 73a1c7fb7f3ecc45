"""A small internet for AutoTLS: the servers, a node and a visitor, each a host in a network namespace of its own.

All addresses are ordinary ones that js-libp2p and go-libp2p take for public; none of it leaves the namespaces. Our DNS
server, our broker and Pebble run at `SERVERS`, as processes that an operator would start.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue

from nodetrust.keyfile import load_or_create
from nodetrust.service import KEY_FILE
from tests.interop.certificates import make_certificate
from tests.interop.harness import Daemon
from tests.interop.pebble import Pebble
from tests.interop.site import Site
from tests.interop.test_twistd import ADDRESS
from tests.namespaces import Hosts

ZONE = "auto.test"
NAME = "registration.auto.test"
PAGE_NAME = "issue.auto.test"
"""Of the issue server, where that is the broker."""

SERVERS, NODE, VISITOR = "45.30.1.1", "45.30.2.2", "45.30.3.2"
PRIVATE_NODE, PRIVATE_NETWORK = "10.30.2.2", "10.0.0.0/8"
"""Where the node is as well, for a LAN's broker."""

PEBBLE_PORT, MANAGEMENT_PORT, HTTP_PORT = 14000, 15000, 8080
NAME_SERVER = f"{SERVERS}:53"

_LINKS = (("node", "45.30.2.1", NODE), ("visitor", "45.30.3.1", VISITOR))

_ZONE_FILE = f"""$TTL 60
@ SOA ns hostmaster 1 14400 3600 1209600 60
@ NS ns
ns A {SERVERS}
registration A {SERVERS}
issue A {SERVERS}
"""

BROKER_PORTS = (8081, 8082)
"""Of two brokers, with a proxy on HTTP_PORT in front of them."""

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
server = Server((sys.argv[1], int(sys.argv[2])), Proxy)
print("takes requests", flush=True)
server.serve_forever()
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


class Internet(Hosts):
    """Those of the node and the visitor are linked to the servers', which forwards."""

    def __init__(self) -> None:
        super().__init__("servers", "node", "visitor")

    def start(self) -> None:
        super().start()
        self.give("servers", "lo", f"{SERVERS}/32")
        for which, gateway, address in _LINKS:
            self.cable("servers", which, which, "eth0")
            self.give("servers", which, f"{gateway}/24")
            self.give(which, "eth0", f"{address}/24")
            self.route(which, "default", gateway)
        self.give("servers", "node", "10.30.2.1/24")
        self.give("node", "eth0", f"{PRIVATE_NODE}/24")
        self.forwards("servers")


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
        command = map(str, self._internet.at("servers", sys.executable, "-c", _FETCH, url, self.https_root))
        out, err, status = await getProcessOutputAndValue(
            next(command), list(command), dict(os.environ), stdinBytes=body or b""
        )
        if status or err:
            raise AssertionError(f"{url}: {err.decode()}{self.printed()}")
        return bytes(out)


class Forge(Site):
    """The internet with everything that runs at the servers' host; `stop` ends all of it."""

    def __init__(self, folder: Path) -> None:
        internet = Internet()
        super().__init__(folder, internet)
        self.pebble = PebbleThere(internet)
        self.broker: Daemon
        self._settings: dict[str, Any] = {}

    async def start(self, pebble: Path, *, life_seconds: int = 90 * 86400, **broker_settings: Any) -> None:
        """The DNS server, Pebble and the broker, in this order."""
        dns_server = await self._start_others(pebble, life_seconds)
        self._settings = {
            **self._ordering(dns_server),
            "registration_name": [NAME],
            "external_tls": [f"{SERVERS}:{HTTP_PORT}"],
            "https_listen": [f"{SERVERS}:443"],
        }
        self.broker = self.twistd("autotls", **{**self._settings, **broker_settings})
        await self.broker.logged("broker's own certificate is for (.*),")

    async def start_issue_server(self, pebble: Path) -> str:
        """The DNS server, Pebble, a proof server, and an issue server that is the broker; the address of the last."""
        dns_server = await self._start_others(pebble, 90 * 86400)
        proof_server = await self.twistd("proof", listen=[f"/ip4/{SERVERS}/tcp/8958"]).logged(ADDRESS)
        issuer = self.twistd(
            "issue",
            **self._ordering(dns_server),
            listen=[f"/ip4/{SERVERS}/tcp/8959"],
            proof_servers=[proof_server],
            own_names=[PAGE_NAME],
            https_listen=[f"{SERVERS}:443"],
            autotls={"registration_name": [NAME]},
        )
        address = await issuer.logged(ADDRESS)
        await issuer.logged("issue server's own certificate is for (.*),")
        return address

    async def _start_others(self, pebble: Path, life_seconds: int) -> str:
        """The DNS server and Pebble; the address of the first."""
        self.hosts.start()
        (self.folder / "zone").write_text(_ZONE_FILE)
        admins = [load_or_create(self.state(name) / KEY_FILE).peer_id for name in ("autotls", "replica", "issue")]
        dns = self.twistd(
            "dns",
            zone=ZONE,
            zone_file=str(self.folder / "zone"),
            listen=[f"/ip4/{SERVERS}/tcp/8953"],
            listen_dns=[NAME_SERVER],
            admins=[str(admin) for admin in admins],
            challenge_names=[NAME, PAGE_NAME],
            max_tcp_per_client=1000,
        )
        dns_server = await dns.logged(ADDRESS)
        self._started.append(self.pebble)
        await self.pebble.begin(pebble, self.folder, life_seconds)
        (self.folder / "root.pem").write_bytes(self.pebble.root_pem)
        (self.folder / "roots.pem").write_bytes(self.pebble.root_pem + self.pebble.https_root.read_bytes())
        return dns_server

    def _ordering(self, dns_server: str) -> dict[str, Any]:
        """The settings of a role that orders from Pebble."""
        return {
            "zone": ZONE,
            "dns_servers": [dns_server],
            "acme_directory": self.pebble.directory,
            "acme_ca_file": str(self.pebble.https_root),
            "agree_to_terms": True,
            "trust_file": str(self.folder / "root.pem"),
        }

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
        program = Daemon("proxy")
        self.run(program, "servers", proxy, {})
        await program.logged("(takes requests)")

    async def obtain(self, out: Path, *options: str) -> tuple[int, str, str]:
        """`nodetrust obtain --autotls` at the node's host: its status, and what it printed."""
        where = ["--broker", f"https://{NAME}", "--domain", ZONE, "--acme-directory", self.pebble.directory]
        how: list[str | Path] = ["--nameserver", NAME_SERVER, "--trust-file", self.roots, "--out", out, "--json"]
        return await self.nodetrust("node", "obtain", "--autotls", *where, *how, *options)

    async def dial(self, address: str) -> str:
        """Dial with a host of ours, at the visitor's, and ping; the peer that it has met."""
        return await self.dial_from("visitor", address, self.folder / "root.pem", NAME_SERVER)

    @property
    def roots(self) -> Path:
        """What a client has to trust: Pebble's HTTPS, and what it signs."""
        return self.folder / "roots.pem"
