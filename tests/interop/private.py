"""A private network with all that it needs: resolver, DNS server, CA, broker, proof server and issue server.

Nobody there knows anything of the internet's DNS, or of its CAs.
"""

from pathlib import Path
from typing import Any

from nodetrust.keyfile import load_or_create
from nodetrust.service import KEY_FILE
from tests.debian import find
from tests.interop.campus import DNS_SERVER, NETWORKS, SERVERS, Campus
from tests.interop.site import Site
from tests.interop.step_ca import StepCa
from tests.interop.test_twistd import ADDRESS, Twistd

ZONE = "nt.internal"
BROKER, CA, ISSUE = (f"{host}.{ZONE}" for host in ("registration", "ca", "issue"))

_ZONE_FILE = f"""$TTL 60
@ SOA ns hostmaster 1 14400 3600 1209600 60
@ NS ns
ns A {DNS_SERVER[0]}
ns AAAA {DNS_SERVER[1]}
""" + "".join(f"{host} A {SERVERS[0]}\n{host} AAAA {SERVERS[1]}\n" for host in ("registration", "ca", "issue", "proof"))

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
  private-domain: "{zone}"
  domain-insecure: "{zone}"
stub-zone:
  name: "{zone}"
  stub-addr: {dns_ipv4}
  stub-addr: {dns_ipv6}
"""


class PrivateNetwork(Site):
    """`start` starts the servers; nodes are started by the tests."""

    def __init__(self, folder: Path, rules: str = "") -> None:
        self.campus = Campus(rules)
        super().__init__(folder, self.campus)
        self.ca = StepCa()
        self.broker: Twistd
        self.issuer = ""

    async def start(self, step_ca: Path) -> None:
        """In the order in which they need one another."""
        self.hosts.start()
        for host in ("servers", "node1", "node2"):
            self.hosts.resolve_by(host, *SERVERS)
        dns_server = await self._start_dns()
        await self.ca.begin(step_ca, self, CA, f"{SERVERS[0]}:53")
        ordering: dict[str, Any] = {
            "zone": ZONE,
            "dns_servers": [dns_server],
            "acme_directory": self.ca.directory,
            "acme_ca_file": str(self.ca.root),
            "trust_file": str(self.ca.root),
            "agree_to_terms": True,
        }
        self.broker = self.twistd(
            "autotls",
            registration_name=[BROKER],
            https_listen=[f"{SERVERS[0]}:443", f"[{SERVERS[1]}]:443"],
            allow_networks=NETWORKS,
            **ordering,
        )
        proof = self.twistd("proof", listen=_listen(8958), trust_file=str(self.ca.root), allow_private=True)
        await proof.logged(ADDRESS)
        proof_peer = load_or_create(self.state("proof") / KEY_FILE).peer_id
        issue = self.twistd(
            "issue",
            listen=_listen(8959),
            proof_servers=[f"/dns/proof.{ZONE}/tcp/8958/p2p/{proof_peer}"],
            allow_private=True,
            **ordering,
        )
        await issue.logged(ADDRESS)
        self.issuer = f"/dns/{ISSUE}/tcp/8959/p2p/{load_or_create(self.state('issue') / KEY_FILE).peer_id}"
        await self.broker.logged("broker's own certificate is for (.*),")

    async def _start_dns(self) -> str:
        """The zone's server and the resolver; the address of the first for challenges."""
        (self.folder / "zone").write_text(_ZONE_FILE)
        admins = [load_or_create(self.state(role) / KEY_FILE).peer_id for role in ("autotls", "issue")]
        dns = self.twistd(
            "dns",
            zone=ZONE,
            zone_file=str(self.folder / "zone"),
            listen=[f"/ip4/{DNS_SERVER[0]}/tcp/8953"],
            listen_dns=[f"{DNS_SERVER[0]}:53", f"[{DNS_SERVER[1]}]:53"],
            admins=[str(one) for one in admins],
            challenge_names=[BROKER],
        )
        configuration = self.folder / "unbound.conf"
        values = {"zone": ZONE, "folder": self.folder}
        (ipv4, ipv6), (dns_ipv4, dns_ipv6) = SERVERS, DNS_SERVER
        configuration.write_text(_UNBOUND.format(ipv4=ipv4, ipv6=ipv6, dns_ipv4=dns_ipv4, dns_ipv6=dns_ipv6, **values))
        program = find("unbound")
        assert program is not None
        unbound = Twistd("unbound")
        self.run(unbound, "servers", ["sh", "-c", 'exec "$0" "$@" 2>&1', program, "-d", "-c", configuration], {})
        await unbound.logged("(start of service)")
        return await dns.logged(ADDRESS)

    @property
    def client_settings(self) -> dict[str, Any]:
        """What a client of ours is told of this network, for AutoTLS."""
        return {
            "broker": [f"https://{BROKER}"],
            "domain": ZONE,
            "acme_directory": self.ca.directory,
            "trust_file": str(self.ca.root),
            "allow_private": True,
        }


def _listen(port: int) -> list[str]:
    return [f"/ip4/{SERVERS[0]}/tcp/{port}", f"/ip6/{SERVERS[1]}/tcp/{port}"]
