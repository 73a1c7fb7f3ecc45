"""`nodetrust zone`, as a person calls it."""

from pathlib import Path

from nodetrust.dns.zone.zonefile import parse_zone
from tests.command.test_name import CommandCase
from tests.dns.example import ORIGIN, ZONE


class ZoneTests(CommandCase):
    """A zone file named by itself, or by the server's configuration."""

    def setUp(self):
        self.file = Path(self.mktemp())
        self.file.write_text(ZONE)

    def test_export(self):
        """What is printed reads back as the same zone."""
        text = self.output("zone", "export", str(self.file), "--zone", "NT.test.")
        self.assertEqual(parse_zone(text, ORIGIN, "export").nodes, parse_zone(ZONE, ORIGIN, "z").nodes)

    def test_check(self):
        """A good file is told with its serial; a bad one is refused with its line."""
        self.assertEqual(self.output("zone", "check", str(self.file), "--zone", "nt.test")[:18], "serial 2026010101,")
        self.file.write_text(ZONE + "x 60 A 1.2.3\n")
        message = self.refusal("zone", "check", str(self.file), "--zone", "nt.test")
        self.assertIn(f"{self.file}:{ZONE.count(chr(10)) + 1}: ", message)

    def test_configuration(self):
        """With the server's configuration it is the server's zone, the default one with its CAA too."""
        config = Path(self.mktemp())
        config.write_text('zone = "nt.test"\nlisten_dns = ["192.0.2.1:53"]\ncaa = ["ca.x; validationmethods=dns-01"]\n')
        text = self.output("zone", "export", "--config", str(config))
        self.assertIn('nt.test. 3600 IN CAA 0 issue "ca.x; validationmethods=dns-01"\n', text)
        config.write_text('zone = "nt.test"\ncaa = ["ca.x; x"]\n')
        self.assertIn("caa: CAA: 'x' is not tag=value", self.refusal("zone", "check", "--config", str(config)))
        config.write_text(f'zone = "nt.test"\ncaa = ["ca.x"]\nzone_file = "{self.file.absolute()}"\n')
        self.assertIn("caa: with a zone_file", self.refusal("zone", "check", "--config", str(config)))

    def test_usage(self):
        """Neither and both are refused."""
        self.refusal("zone", "check")
        self.refusal("zone", "check", str(self.file))
        self.refusal("zone", "check", str(self.file), "--zone", "nt.test", "--config", str(self.file))
