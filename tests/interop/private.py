"""A private network with all that it needs, as docs/private-networks.md sets it up, and over IPv6, too.

Resolver, DNS server, CA, broker, proof server and issue server: their settings are those in the page, but for what it
leaves out. Nobody there knows anything of the internet's DNS, or of its CAs.
"""

import tomllib
from pathlib import Path
from typing import Any

from nodetrust.keyfile import load_or_create
from nodetrust.service import KEY_FILE
from tests.debian import find
from tests.interop.campus import DNS_SERVER, SERVERS, Campus
from tests.interop.documented import block
from tests.interop.harness import Daemon
from tests.interop.site import Site
from tests.interop.step_ca import StepCa
from tests.interop.test_twistd import ADDRESS

PAGE = "private-networks.md"
ZONE = "nt.internal"
BROKER, CA, ISSUE, PROOF = (f"{host}.{ZONE}" for host in ("registration", "ca", "issue", "proof"))

_AAAA = f"ns AAAA {DNS_SERVER[1]}\n" + "".join(f"{name}. AAAA {SERVERS[1]}\n" for name in (BROKER, CA, ISSUE, PROOF))

_UNBOUND = """server:
  interface: {ipv4}
  interface: {ipv6}
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  directory: "{folder}"
  pidfile: ""
  username: ""
  chroot: ""
  use-syslog: no
  private-address: 10.0.0.0/8
  private-address: 172.16.0.0/12
  private-address: fd00::/8
"""
"""With the protection against DNS rebinding that many have."""


class PrivateNetwork(Site):
    """`start` starts the servers; nodes are started by the tests."""

    def __init__(self, folder: Path, rules: str = "") -> None:
        super().__init__(folder, Campus(rules))
        self.ca = StepCa()
        self.broker: Daemon
        self.issuer = ""

    async def start(self, step_ca: Path) -> None:
        """In the order in which they need one another."""
        self.hosts.start()
        for host in ("servers", "node1", "node2"):
            self.hosts.resolve_by(host, *SERVERS)
        await self._start_resolver()
        dns_server = await self._start_dns()
        await self.ca.begin(step_ca, self, CA, f"{SERVERS[0]}:53")
        root = str(self.ca.root)
        known = {"dns_servers": [dns_server], "acme_ca_file": root, "trust_file": root}
        https = [f"{SERVERS[0]}:443", f"[{SERVERS[1]}]:443"]
        self.broker = self._documented("autotls", https_listen=https, **known)
        proof = self.twistd("proof", listen=_listen(8958), trust_file=root, allow_private=True)
        await proof.logged(ADDRESS)
        proofs = [f"/dns/{PROOF}/tcp/8958/p2p/{self._peer('proof')}"]
        issue = self._documented("issue", listen=_listen(8959), proof_servers=proofs, **known)
        await issue.logged("issue server's own certificate is for (.*),")
        self.issuer = f"/dns/{ISSUE}/tcp/8959/p2p/{self._peer('issue')}"
        await self.broker.logged("broker's own certificate is for (.*),")

    async def _start_resolver(self) -> None:
        configuration = self.folder / "unbound.conf"
        own = _UNBOUND.format(ipv4=SERVERS[0], ipv6=SERVERS[1], folder=self.folder)
        configuration.write_text(own + block(PAGE, "For Unbound"))
        program = find("unbound")
        assert program is not None
        unbound = Daemon("unbound")
        self.run(unbound, "servers", ["sh", "-c", 'exec "$0" "$@" 2>&1', program, "-d", "-c", configuration], {})
        await unbound.logged("(start of service)")

    async def _start_dns(self) -> str:
        """The zone's server; its address for challenges."""
        zone = self.folder / "zone"
        zone.write_text(block(PAGE, f"`/etc/nodetrust/{ZONE}.zone`") + _AAAA)
        places = [f"{DNS_SERVER[0]}:53", f"[{DNS_SERVER[1]}]:53"]
        admins = [str(self._peer(role)) for role in ("autotls", "issue")]
        dns = self._documented("dns", zone_file=str(zone), listen_dns=places, admins=admins)
        return await dns.logged(ADDRESS)

    def _documented(self, role: str, **changes: Any) -> Daemon:
        """A role with the settings in the page."""
        settings = tomllib.loads(block(PAGE, f"`/etc/nodetrust/{role}.toml`"))
        return self.twistd(role, **{**settings, "state": str(self.state(role)), **changes})

    def _peer(self, role: str) -> object:
        return load_or_create(self.state(role) / KEY_FILE).peer_id

    @property
    def client_settings(self) -> dict[str, Any]:
        """What the page tells a client of ours, for AutoTLS."""
        return {**tomllib.loads(block(PAGE, "**nodetrust's client**")), "trust_file": str(self.ca.root)}


def _listen(port: int) -> list[str]:
    return [f"/ip4/{SERVERS[0]}/tcp/{port}", f"/ip6/{SERVERS[1]}/tcp/{port}"]
