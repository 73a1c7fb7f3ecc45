"""`nodetrust name` and `nodetrust key`, as a person calls them."""

import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.command.main import main

ED25519 = "12D3KooWGGF8kv9bsCqCNmeVZodvzpa63FkwFKF9xGTtDt14W4o7"
LABEL = "pamvv6akracmmzicnphgbnms3s2hq8flyufvvoolyafbtkr0nayy2w8ugn8"
CID = "k51qzi5uqu5dikizqtw2kmtlhr6fpcjqcue1w5nfh9veq52j6hvhetimaqjlue"


class CommandCase(SynchronousTestCase):
    def call(self, *arguments):
        return CliRunner().invoke(main, list(arguments))

    def output(self, *arguments):
        result = self.call(*arguments)
        self.assertEqual(result.exit_code, 0, result.output)
        return result.output.strip()

    def refusal(self, *arguments):
        result = self.call(*arguments)
        self.assertNotEqual(result.exit_code, 0)
        self.assertNotIn("Traceback", result.output)
        return result.output


class NameTests(CommandCase):
    def name(self, what):
        return self.output("name", what, "--zone", "nt.example.org")

    def test_from_address_or_peer_to_name(self):
        """Addresses and peer IDs, in each of their forms, have one name."""
        self.assertEqual(self.name("1.2.3.4"), "ip41-2-3-4.nt.example.org")
        self.assertEqual(self.name("2001:db8::"), "ip62001-db8--0.nt.example.org")
        for peer in (ED25519, CID):
            self.assertEqual(self.name(peer), f"{LABEL}.nt.example.org")

    def test_from_label_or_name_back(self):
        """A label, a whole name, any case, and names below the zone."""
        for text in ("ip41-2-3-4", "IP41-2-3-4.NT.example.org.", f"ip41-2-3-4.{LABEL}.nt.example.org"):
            self.assertEqual(self.name(text), "1.2.3.4")
        self.assertEqual(self.name(LABEL), ED25519)

    def test_says_what_is_wrong(self):
        """What is neither gets one clear sentence."""
        self.assertIn("no IP address, no peer ID", self.refusal("name", "ip4256-1-1-1", "--zone", "nt.example.org"))
        self.assertIn("not in the zone", self.refusal("name", "ip41-2-3-4.example.com", "--zone", "nt.example.org"))
        self.assertIn("label", self.refusal("name", "1.2.3.4", "--zone", "a..b"))


class KeyTests(CommandCase):
    def setUp(self):
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "peer.key"

    def test_new_then_show(self):
        """A new key is private to its owner, and shows the same peer each time."""
        made = self.output("key", "new", str(self.file))
        self.assertEqual(stat.S_IMODE(os.stat(self.file).st_mode), 0o600)
        self.assertEqual(self.output("key", "show", str(self.file)), made)
        self.assertIn("12D3Koo", made)

    def test_never_overwrites(self):
        """A key that is there stays."""
        self.file.write_text("precious")
        self.assertIn("never overwritten", self.refusal("key", "new", str(self.file)))
        self.assertEqual(self.file.read_text(), "precious")

    def test_names_a_bad_file(self):
        """A file that is missing or no key is named."""
        self.assertIn(str(self.file), self.refusal("key", "show", str(self.file)))
        self.file.write_text("not a key")
        self.assertIn(str(self.file), self.refusal("key", "show", str(self.file)))
