"""Unbound and delv validate what our server signs: with 0x20, names asked label by label, and NSEC used again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
from twisted.trial.unittest import TestCase

from nodetrust.dns.dnssec.keys import ZoneKey, create, generate
from nodetrust.dns.dnssec.records import ds_text
from nodetrust.dns.records import parse_name
from tests.debian import find
from tests.dns.example import PEER_LABEL
from tests.dns_oracle.servers import ZONE, ZONE_NAME, Child, free_port, short_folder, spawn, start_ours
from tests.dns_oracle.toolchain import require

CHILD_ZONE = "@ 60 SOA ns h 1 7200 900 1209600 60\n@ 60 NS ns\nns 60 A 127.0.0.1\n"
PROBE = dns.message.make_query(ZONE_NAME, "SOA").to_wire()

SECURE = [  # name, type, and whether there are records
    ("ip41-2-3-4", "A", True),
    ("ip4198-51-100-200.below.any.name", "A", True),
    ("ip62001-db8--1", "AAAA", True),
    ("ip6--1", "AAAA", True),
    (PEER_LABEL, "TXT", True),
    (f"ip41-1-1-1.{PEER_LABEL}", "A", True),
    ("", "SOA", True),
    ("", "NS", True),
    ("", "CAA", True),
    ("", "MX", True),
    ("", "DNSKEY", True),
    ("", "CDS", True),
    ("", "CDNSKEY", True),
    ("www", "A", True),
    ("www", "AAAA", True),
    ("chain", "A", True),
    ("x.wild", "TXT", True),
    ("*.wild", "TXT", True),
    ("a.alias", "A", True),
    ("odd", "TYPE65400", True),
    ("big", "TXT", True),
    ("huge", "TXT", True),
    ("signed", "DS", True),
    ("ip41-2-3-4", "AAAA", False),
    ("ip61--", "A", False),
    (PEER_LABEL, "A", False),
    ("_acme-challenge.ip41-2-3-4", "TXT", False),
    ("", "AAAA", False),
    ("", "TYPE65401", False),
    ("nothing", "A", False),
    ("nothing.at.all", "TXT", False),
    ("down.there", "A", False),
    ("x.wild", "MX", False),
    ("www", "TXT", True),  # the alias; what it leads to has none
    ("gone", "A", True),
    ("ip4256-1-1-1", "A", False),
    ("below.ip4256-1-1-1", "A", False),
    ("pool", "TXT", False),
    ("sub", "DS", False),
]


def unbound(folder: Path, port: int, stubs: dict[str, Child], anchor: str, anchor_name: str = "unbound") -> Child:
    """A resolver that trusts `anchor`, and knows where the zones of `stubs` are served."""
    zones = "".join(
        f'stub-zone:\n  name: "{name}"\n  stub-addr: 127.0.0.1@{child.port}\n' for name, child in stubs.items()
    )
    file = folder / f"{anchor_name}.conf"
    file.write_text(f"""
server:
  interface: 127.0.0.1@{port}
  directory: "{folder}"
  pidfile: ""
  username: ""
  chroot: ""
  use-syslog: no
  logfile: ""
  num-threads: 1
  do-ip6: no
  do-not-query-localhost: no
  local-zone: "test." nodefault
  local-zone: "example." static
  module-config: "validator iterator"
  trust-anchor: "{anchor}"
  val-log-level: 2
  use-caps-for-id: yes
  qname-minimisation: yes
  qname-minimisation-strict: yes
  harden-below-nxdomain: yes
  harden-referral-path: no
  aggressive-nsec: yes
{zones}""")
    return spawn(anchor_name, [str(find("unbound")), "-d", "-c", file], folder, port)


class DnssecTests(TestCase):
    """A signed zone with an unsigned and a signed child, as resolvers see it."""

    timeout = 600

    def setUp(self) -> None:
        """Keys and zone files, the three servers, and Unbound with our DS."""
        require("unbound", "delv")
        self.folder = folder = short_folder(self)
        key = create(folder / "parent.key", parse_name(ZONE_NAME))
        signed_child = parse_name(f"signed.{ZONE_NAME}")
        child_key = create(folder / "child.key", signed_child)
        lines = [line for line in ZONE.splitlines() if not line.startswith("signed               DS")]
        (folder / "parent.zone").write_text("\n".join((*lines, f"signed DS {_ds_fields(signed_child, child_key)}\n")))
        (folder / "child.zone").write_text(CHILD_ZONE)
        self.zones: dict[str, Child] = {}
        for name, file, options in (
            (ZONE_NAME, "parent.zone", ("--dnssec-key", str(folder / "parent.key"))),
            (f"sub.{ZONE_NAME}", "child.zone", ()),
            (f"signed.{ZONE_NAME}", "child.zone", ("--dnssec-key", str(folder / "child.key"))),
        ):
            place = folder / name
            place.mkdir()
            self.zones[name] = child = start_ours(place, folder / file, free_port(), *options, name=name)
            self.addCleanup(child.stop)
        for name, child in self.zones.items():
            child.wait_until_ready(dns.message.make_query(name, "SOA").to_wire())
        self.anchor = ds_text(parse_name(ZONE_NAME), key.dnskey)
        self.resolver = self.resolving(self.anchor)

    def resolving(self, anchor: str, name: str = "unbound") -> Child:
        """Another Unbound, ready."""
        child = unbound(self.folder, free_port(), self.zones, anchor, name)
        self.addCleanup(child.stop)
        child.wait_until_ready(PROBE)
        return child

    def ask(self, name: str, type_: str, child: Child | None = None) -> dns.message.Message:
        """Ask the resolver, over TCP so that nothing is cut off."""
        query = dns.message.make_query(name, type_, want_dnssec=True)
        place = child or self.resolver
        return dns.query.tcp(query, "127.0.0.1", port=place.port, timeout=20)

    def test_every_form_of_name(self) -> None:
        """Each name is secure, whether it is there or not; asked again it comes from the cache and still is."""
        for _ in range(2):
            for label, type_, has_records in SECURE:
                name = f"{label}.{ZONE_NAME}" if label else ZONE_NAME
                response = self.ask(name, type_)
                self.assertEqual(
                    (name, type_, response.rcode(), bool(response.flags & dns.flags.AD), bool(response.answer)),
                    (name, type_, dns.rcode.NOERROR, True, has_records),
                )

    def test_large_answers(self) -> None:
        """What does not fit into a datagram is whole: the resolver came back over TCP."""
        (texts, _) = self.ask(f"huge.{ZONE_NAME}", "TXT").answer
        self.assertGreater(sum(len(string) for string in texts[0].strings), 2000)

    def test_unsigned_child(self) -> None:
        """Below a delegation without DS answers are insecure, and answers all the same."""
        response = self.ask(f"ip41-2-3-4.sub.{ZONE_NAME}", "A")
        self.assertEqual((response.rcode(), len(response.answer), response.flags & dns.flags.AD), (0, 1, 0))

    def test_signed_child(self) -> None:
        """The chain leads from our DS over the child's."""
        for type_, sections in (("A", 2), ("AAAA", 0)):
            response = self.ask(f"ip41-2-3-4.signed.{ZONE_NAME}", type_)
            self.assertEqual(
                (response.rcode(), len(response.answer), bool(response.flags & dns.flags.AD)), (0, sections, True)
            )

    def test_another_key(self) -> None:
        """A resolver that trusts another key refuses everything: the ones above do look."""
        child = self.resolving(ds_text(parse_name(ZONE_NAME), generate().dnskey), "misled")
        for type_ in ("A", "AAAA"):
            response = self.ask(f"ip41-2-3-4.{ZONE_NAME}", type_, child)
            self.assertEqual((response.rcode(), response.answer), (dns.rcode.SERVFAIL, []))

    def test_delv(self) -> None:
        """BIND's validator, through Unbound without its own validation, comes to the same conclusions."""
        anchors = self.folder / "anchors"
        fields = self.anchor.split(" IN DS ")[1].split(" ", 3)
        anchors.write_text(f'trust-anchors {{ "{ZONE_NAME}." static-ds {" ".join(fields[:3])} "{fields[3]}"; }};\n')
        command = ["delv", "-a", str(anchors), f"+root={ZONE_NAME}", "@127.0.0.1", "-p", str(self.resolver.port), "+cd"]
        for label, type_, has_records in SECURE:
            if type_.startswith("TYPE") or not label or label == "gone":
                continue
            name = f"{label}.{ZONE_NAME}"
            run = subprocess.run([*command, name, type_], capture_output=True, text=True, timeout=30, check=False)
            self.assertIn("fully validated", run.stdout, (name, type_, run.stdout, run.stderr))
            if not has_records:
                self.assertIn("negative response", run.stdout, (name, type_))


def _ds_fields(zone: tuple[bytes, ...], key: ZoneKey) -> str:
    return ds_text(zone, key.dnskey).split(" IN DS ")[1]
