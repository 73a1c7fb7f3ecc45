"""Zones that `nodetrust zone export` prints, before the zone checkers of Knot and BIND."""

import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.records import parse_name
from nodetrust.dns.zone.zonefile import default_zone_text, parse_zone, zone_to_text
from tests.debian import find
from tests.dns_oracle import internet, servers
from tests.dns_oracle.toolchain import require

ZONES = {
    "the matrix": servers.ZONE,
    "the small internet": internet.ZONE,
    "the default zone": default_zone_text(
        ["192.0.2.1", "2001:db8::1"], ["ca.example; accounturi=https://ca.example/1; validationmethods=dns-01"]
    ),
}
"""Texts of zone files; the one of the internet gets the hosts of its name servers."""


class ExportTests(SynchronousTestCase):
    """The text of a zone."""

    def test_checkers(self) -> None:
        """kzonecheck and named-checkzone accept it, strictly but for what the zone's own text brings with it."""
        require("kzonecheck", "named-checkzone")
        for title, text in ZONES.items():
            hosts = "ns1 60 A 192.0.2.1\nns2 60 A 192.0.2.2\n" if text is internet.ZONE else ""
            zone = parse_zone(text + hosts, parse_name(servers.ZONE_NAME), title)
            file = Path(self.mktemp())
            file.write_text(zone_to_text(zone))
            for command in (
                [find("kzonecheck"), "-o", servers.ZONE_NAME, file],
                [find("named-checkzone"), "-i", "local", "-k", "fail", servers.ZONE_NAME, file],
            ):
                done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
                self.assertEqual((title, done.returncode), (title, 0), done.stdout + done.stderr)
