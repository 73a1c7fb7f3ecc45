"""`nodetrust key dnssec`, as a person calls it."""

import os
import stat
from pathlib import Path

from tests.command.test_name import CommandCase

ZONE = ("--zone", "NT.example.org.")


class DnssecTests(CommandCase):
    def setUp(self):
        folder = Path(self.mktemp())
        folder.mkdir()
        self.file = folder / "zone.key"

    def test_new_and_show(self):
        """A new key is for its owner alone; its records are printed, kept beside it, and shown again."""
        printed = self.call("key", "dnssec", str(self.file), *ZONE)
        self.assertEqual(printed.exit_code, 0, printed.output)
        lines = printed.stdout.splitlines()
        self.assertRegex(lines[0], r"^nt\.example\.org\. IN DNSKEY 257 3 13 [A-Za-z0-9+/]{86}==$")
        self.assertRegex(lines[1], r"^nt\.example\.org\. IN DS \d+ 13 2 [0-9A-F]{64}$")
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        self.assertIn("BEGIN PRIVATE KEY", self.file.read_text())
        self.assertEqual(Path(f"{self.file}.txt").read_text(), printed.stdout)
        shown = self.output("key", "dnssec", "show", str(self.file), *ZONE)
        self.assertEqual(shown, printed.stdout.strip())
        self.assertNotIn("PRIVATE", shown)

    def test_refusals(self):
        """A key is never overwritten; what is no key, no zone or no writable place is refused in one line."""
        self.output("key", "dnssec", "new", str(self.file), *ZONE)
        before = self.file.read_bytes()
        self.assertIn("never overwritten", self.refusal("key", "dnssec", str(self.file), *ZONE))
        self.assertEqual(self.file.read_bytes(), before)
        self.assertIn("Missing option '--zone'", self.refusal("key", "dnssec", str(self.file) + "2"))
        self.assertIn("zone", self.refusal("key", "dnssec", str(self.file) + "2", "--zone", "a..b"))
        self.assertIn("written", self.refusal("key", "dnssec", str(self.file / "below"), *ZONE))
        self.assertIn("no private key", self.refusal("key", "dnssec", "show", f"{self.file}.txt", *ZONE))
        self.assertIn("cannot be read", self.refusal("key", "dnssec", "show", f"{self.file}.none", *ZONE))
        self.assertEqual(sorted(path.name for path in self.file.parent.iterdir()), ["zone.key", "zone.key.txt"])
