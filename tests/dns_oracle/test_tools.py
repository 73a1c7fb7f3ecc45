"""What other people's tools say of a zone of ours on a small internet, unsigned and signed.

Their output is kept in `build/dns`, one file for each tool and kind of zone.
"""

import json
import re
import sys
from itertools import chain
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.sources import NO_CHALLENGE_TTL
from tests.dns_oracle.internet import ABOVE, OURS, RESOLVER, Internet
from tests.dns_oracle.names import MISSING, NO_VALUE_YET, QUESTIONS, expected
from tests.dns_oracle.servers import CHECKOUT, ZONE_NAME, short_folder
from tests.dns_oracle.toolchain import require, require_root

KEPT = CHECKOUT / "build" / "dns"

DNSPYTHON = """
import dns.message, dns.query, dns.rcode, json, sys
place, questions = json.load(sys.stdin)
for name, type_ in questions:
    answer = dns.query.tcp(dns.message.make_query(name, type_), place, timeout=10)
    data = sorted(rdata.to_text() for rrset in answer.answer for rdata in rrset)
    print(json.dumps([dns.rcode.to_text(answer.rcode()), data]))
"""


class InternetCase(SynchronousTestCase):
    """A test on a small internet."""

    signed = False

    def setUp(self) -> None:
        require("knotd", "keymgr", "kdig", "dig", "unbound", "zonemaster-cli", "dnsviz", "ip")
        require_root()
        self.internet = Internet(short_folder(self), signed=self.signed)
        self.addCleanup(self.internet.stop)
        self.internet.start()

    def keep(self, tool: str, text: str) -> None:
        KEPT.mkdir(parents=True, exist_ok=True)
        (KEPT / f"{tool}-{'signed' if self.signed else 'unsigned'}.txt").write_text(text)

    def ask(self, program: str, place: str, name: str, type_: str, *options: str) -> tuple[str, list[str], str]:
        """The response code, the data of the answers, and the flags, as dig or kdig prints them."""
        header = ["+header", "+noidn"] if program == "kdig" else ["+comments"]
        done = self.internet.run(program, f"@{place}", "+noall", *header, "+answer", *options, name, type_)
        status = re.search(r"status: (\w+)", done.stdout)
        flags = re.search(r"^;; flags?: ([a-z ]+);", done.stdout, re.MULTILINE | re.IGNORECASE)
        if status is None or flags is None:
            raise AssertionError(f"{program} {name}: {done.stdout}{done.stderr}")
        lines = [line.split(None, 4) for line in done.stdout.splitlines() if line and line[0] != ";"]
        return status[1], sorted(line[4].strip() for line in lines if line[3] != "RRSIG"), flags[1]


class ToolTests(InternetCase):
    """The zone without DNSSEC."""

    def test_zonemaster(self) -> None:
        """Zonemaster tests the zone at both name servers, over IPv4 and IPv6, and finds nothing to warn of."""
        command = ["zonemaster-cli", "--hints", str(self.internet.hints), "--json", "--level", "DEBUG", ZONE_NAME]
        done = self.internet.run(*command)
        results: list[dict[str, Any]] = json.loads(done.stdout)
        shown = self.internet.run(*command[:3], "--level", "INFO", "--count", ZONE_NAME)
        self.keep("zonemaster", shown.stdout)
        found = [result for result in results if result["level"] in ("NOTICE", "WARNING", "ERROR", "CRITICAL")]
        remarks = {(result["level"], result["module"].upper()) for result in found}
        self.assertEqual(remarks, set() if self.signed else {("NOTICE", "DNSSEC")})  # that it is not signed
        self.assertGreater(len({result["testcase"] for result in results}), 50)

    def test_dnsviz(self) -> None:
        """dnsviz follows the delegations from the root to names of every kind, and finds no error and no warning."""
        roots = ",".join(f"{name}={four},{name}=[{six}]" for name, (four, six) in ABOVE.items())
        names = [ZONE_NAME, *sorted({name.lower() for name, _ in QUESTIONS})]
        probe = [
            "dnsviz",
            "probe",
            "-4",
            "-6",
            "-A",
            "-a",
            ".",
            "-x",
            f".:{roots}",
            "-R",
            "SOA,NS,A,AAAA,TXT,CAA,DNSKEY",
        ]
        probed = self.internet.run(*probe, "-o", "probe.json", *names)
        self.assertEqual(probed.returncode, 0, probed.stderr)
        grokked = self.internet.run("dnsviz", "grok", "-l", "warning", "-r", "probe.json")
        self.assertEqual((grokked.returncode, grokked.stdout.strip()), (0, ""))
        asked = json.loads((self.internet.folder / "probe.json").read_text())
        self.assertLessEqual({f"{name}." for name in names}, asked.keys())
        anchor = ["-t", "root.key"] if self.signed else []
        printed = self.internet.run("dnsviz", "print", *anchor, "-r", "probe.json")
        self.keep("dnsviz", printed.stdout)
        ours = printed.stdout.partition("\n" + ZONE_NAME)[2]
        self.assertNotRegex(ours, r"\b[EW]:")
        marks = set(re.findall(r"^\s+\[(.)\]", ours, re.MULTILINE))
        self.assertEqual(marks, {"." if self.signed else "!"})  # secure, or as bare as it is meant to be

    def test_same_answers(self) -> None:
        """kdig, dig and dnspython read the same answers, from different addresses, over UDP and TCP."""
        addresses = list(chain(*OURS.values()))
        lines = json.dumps([addresses[1], QUESTIONS])
        python = self.internet.run(sys.executable, "-c", DNSPYTHON, text=lines).stdout.splitlines()
        self.assertEqual(len(python), len(QUESTIONS))
        kept = []
        for (name, type_), line in zip(QUESTIONS, python, strict=True):
            wanted = expected(name, type_)
            kept.append(f"{name} {type_}: {wanted[0]} {' '.join(wanted[1])}")
            self.assertEqual((name, type_, *json.loads(line)), (name, type_, *wanted))
            for program, place, option in (("kdig", addresses[0], "+notcp"), ("dig", addresses[3], "+tcp")):
                status, data, flags = self.ask(program, place, name, type_, "+norecurse", option)
                self.assertEqual((program, name, type_, status, data), (program, name, type_, *wanted))
                self.assertIn("aa", flags.split())
        self.keep("answers", "\n".join(kept) + "\n")

    def test_unbound(self) -> None:
        """Unbound, with 0x20, strict query minimisation and all that hardens it, resolves every form of name, twice."""
        kept = []
        for turn in range(2):
            for name, type_ in QUESTIONS:
                status, data, flags = self.ask("dig", RESOLVER, name, type_, "+dnssec")
                rcode, wanted = expected(name, type_)
                if self.signed and name in MISSING:
                    rcode = "NOERROR"  # compact denial says in its NSEC that there is no such name (RFC 9824 §3)
                self.assertEqual((turn, name, type_, status, data), (turn, name, type_, rcode, wanted))
                self.assertEqual((name, "ad" in flags.split()), (name, self.signed))
                kept.append(f"{name} {type_}: {status} [{flags}] {' '.join(data)}")
        self.keep("unbound", "\n".join(kept) + "\n")
        shown = self.internet.run("dig", f"@{RESOLVER}", "+noall", "+answer", NO_VALUE_YET, "TXT").stdout
        self.assertLessEqual(int(shown.split()[1]), NO_CHALLENGE_TTL)


class SignedToolTests(ToolTests):
    """The zone with a key, and its DS above it: the chain from the root holds."""

    signed = True
