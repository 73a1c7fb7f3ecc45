"""A small internet in a network namespace: a root, `test`, the reverse zones, our server for `nt.test`, and Unbound.

Knot serves what is above our zone, at two addresses of each family; ours answers on two more of each, at port 53. All
addresses are ordinary ones that Zonemaster takes for public; none of it leaves the namespace. With `signed`, the chain
of DNSSEC goes from the root, which Unbound trusts, to a key of ours.
"""

import itertools
import os
import subprocess
import time
from ipaddress import ip_address
from pathlib import Path

from nodetrust.dns.dnssec.keys import create
from nodetrust.dns.dnssec.records import ds_text
from nodetrust.dns.records import parse_name
from tests.debian import PATH
from tests.dns_oracle.servers import START_SECONDS, ZONE_NAME, Child, ours_command, spawn
from tests.namespaces import Hosts, must

ABOVE = {"a.servers.test": ("45.10.1.1", "2a10:1::1"), "b.servers.test": ("45.11.2.2", "2a11:2::2")}
OURS = {"ns1.nt.test": ("46.20.1.53", "2a12:3::53"), "ns2.nt.test": ("47.30.2.53", "2a13:4::53")}
MAIL = ("46.20.1.25", "2a12:3::25")
RESOLVER = "127.0.0.53"
RUN_SECONDS = 600

ZONE = f"""$TTL 3600
@    SOA  ns1 hostmaster 2026010101 14400 3600 1209600 300
@    NS   ns1
@    NS   ns2
@    MX   10 mail
@    TXT  "v=spf1 -all"
@    CAA  0 issue "letsencrypt.org; validationmethods=dns-01"
mail A    {MAIL[0]}
mail AAAA {MAIL[1]}
www  CNAME ip446-20-1-80
"""
_SOA = "@ SOA a.servers.test. hostmaster.servers.test. 1 14400 3600 1209600 3600\n"
_HOST = "internet"


def _hosts(servers: dict[str, tuple[str, str]]) -> str:
    return "".join(f"{name}. A {four}\n{name}. AAAA {six}\n" for name, (four, six) in servers.items())


def _delegation(name: str, servers: dict[str, tuple[str, str]]) -> str:
    return "".join(f"{name} NS {server}.\n" for server in servers)


def _zone_above(origin: str, body: str) -> str:
    return f"$ORIGIN {origin}\n$TTL 3600\n{_SOA}{_delegation('@', ABOVE)}{body}"


class Internet:
    """Start it before use and stop it in the end; its files are in `folder`."""

    def __init__(self, folder: Path, *, signed: bool = False) -> None:
        self.folder = folder.resolve()
        self.signed = signed
        self.hints = self.folder / "hints"
        self.root_key = ""
        """With `signed`: the root's DNSKEY records as text, to be trusted."""
        self._hosts = Hosts(_HOST)
        self._children: list[Child] = []

    def start(self) -> None:
        """Make the namespace and start the three servers in it; raises AssertionError with what went wrong."""
        self._hosts.start()
        for address in itertools.chain(*ABOVE.values(), *OURS.values()):
            self._hosts.give(_HOST, "lo", f"{address}/{ip_address(address).max_prefixlen}")
        options = self._start_above()
        (self.folder / "nt.zone").write_text(ZONE + _hosts(OURS))
        addresses = list(itertools.chain(*OURS.values()))
        places = [f"[{address}]:53" if ":" in address else f"{address}:53" for address in addresses]
        self._spawn("ours", *map(str, ours_command(self.folder, self.folder / "nt.zone", places, ZONE_NAME)), *options)
        self._await("ours", addresses[-1], ZONE_NAME)
        self._start_unbound()

    def stop(self) -> None:
        """End the servers, then the namespace."""
        while self._children:
            self._children.pop().stop()
        self._hosts.stop()

    def run(self, *command: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run a program in the namespace to its end."""
        return subprocess.run(
            self._hosts.at(_HOST, *command),
            cwd=self.folder,
            env={**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8"},
            input=text,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )

    def _start_above(self) -> list[str]:
        """Knot, with our zone's DS if it is signed; the options that give ours its key."""
        delegation = _delegation("nt", OURS) + _hosts(OURS)
        options: list[str] = []
        if self.signed:
            key = create(self.folder / "nt.key", parse_name(ZONE_NAME))
            options = ["--dnssec-key", str(self.folder / "nt.key")]
            delegation += ds_text(parse_name(ZONE_NAME), key.dnskey) + "\n"
        reverse = [
            {ip_address(pair[index]).reverse_pointer: name for name, pair in {**ABOVE, **OURS}.items()}
            for index in (0, 1)
        ]
        root = _hosts(ABOVE) + _delegation("test.", ABOVE) + _delegation("arpa.", ABOVE)
        zones = {
            "test.": _hosts(ABOVE) + delegation,
            "arpa.": _delegation("in-addr", ABOVE) + _delegation("ip6", ABOVE),
            "in-addr.arpa.": "".join(f"{pointer}. PTR {name}.\n" for pointer, name in reverse[0].items()),
            "ip6.arpa.": "".join(f"{pointer}. PTR {name}.\n" for pointer, name in reverse[1].items()),
        }
        self._configure_knot([".", *zones])
        if self.signed:
            root += self._make_key("test.", "ds")
            self.root_key = self._make_key(".", "dnskey")
        for number, (origin, body) in enumerate({".": root, **zones}.items()):
            (self.folder / f"{number}.zone").write_text(_zone_above(origin, body))
        self.hints.write_text(
            "".join(f". 3600 NS {name}.\n" for name in ABOVE) + _hosts(ABOVE).replace(". A", ". 3600 A")
        )
        self._spawn("knot", "knotd", "-c", str(self.folder / "knot.conf"))
        self._await("knot", ABOVE["b.servers.test"][1], ".")
        return options

    def _configure_knot(self, origins: list[str]) -> None:
        listen = ", ".join(f"{address}@53" for pair in ABOVE.values() for address in pair)
        zones = "".join(
            f'  - domain: "{origin}"\n    file: {self.folder}/{number}.zone\n'
            f"    dnssec-signing: {'on' if self.signed and origin in ('.', 'test.') else 'off'}\n"
            for number, origin in enumerate(origins)
        )
        (self.folder / "knot.conf").write_text(f"""
server:
    rundir: {self.folder}
    listen: [{listen}]
    version: ""
    identity: ""
database:
    storage: {self.folder}
log:
  - target: stderr
    any: warning
policy:
  - id: one-key
    single-type-signing: on
    cds-cdnskey-publish: none
    nsec3: off
template:
  - id: default
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    dnssec-policy: one-key
zone:
{zones}""")

    def _make_key(self, origin: str, form: str) -> str:
        """A key with which Knot will sign; the records that publish it."""
        keymgr = ["keymgr", "-c", str(self.folder / "knot.conf"), origin]
        must(*keymgr, "generate", "algorithm=ecdsap256sha256", "ksk=yes", "zsk=yes")
        lines = must(*keymgr, form).splitlines()
        return "\n".join(line for line in lines if form == "dnskey" or " 13 2 " in line) + "\n"

    def _start_unbound(self) -> None:
        anchor = ""
        if self.signed:
            (self.folder / "root.key").write_text(self.root_key)
            anchor = f'  trust-anchor-file: "{self.folder}/root.key"\n'
        (self.folder / "unbound.conf").write_text(f"""
server:
  interface: {RESOLVER}@53
  directory: "{self.folder}"
  pidfile: ""
  username: ""
  chroot: ""
  use-syslog: no
  num-threads: 1
  root-hints: "{self.hints}"
  local-zone: "test." nodefault
  module-config: "{"validator iterator" if self.signed else "iterator"}"
  use-caps-for-id: yes
  qname-minimisation: yes
  qname-minimisation-strict: yes
  harden-glue: yes
  harden-below-nxdomain: yes
  harden-referral-path: yes
  harden-dnssec-stripped: yes
  aggressive-nsec: yes
{anchor}""")
        self._spawn("unbound", "unbound", "-d", "-c", str(self.folder / "unbound.conf"))
        self._await("unbound", RESOLVER, ZONE_NAME)

    def _spawn(self, name: str, *command: str) -> None:
        self._children.append(spawn(name, self._hosts.at(_HOST, *command), self.folder, 53))

    def _await(self, name: str, address: str, zone: str) -> None:
        """Return when a server answers; its own log says why it does not."""
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            asked = self.run("kdig", f"@{address}", zone, "SOA", "+timeout=1", "+retry=0", "+noall", "+answer")
            if " SOA" in asked.stdout.replace("\t", " "):
                return
            time.sleep(0.1)
        raise AssertionError(f"{name} does not answer:\n{self.log(name)}")

    def log(self, name: str) -> str:
        """What a server printed last."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]
