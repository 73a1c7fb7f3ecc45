"""What an issue server's settings must be to each other."""

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.issue.settings import CaSettings, IssueSettings
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.ordering import LETS_ENCRYPT
from nodetrust.settings import SettingsError, build, read_file

PEER = "12D3KooWGGF8kv9bsCqCNmeVZodvzpa63FkwFKF9xGTtDt14W4o7"
SMALL_ORDER = PeerId(b"\x00\x24\x08\x01\x12\x20" + bytes(32))

GOOD = f"""
zone = "nt.test"
proof_servers = ["/ip4/192.0.2.1/tcp/1/p2p/{PEER}"]
dns_servers = ["/ip4/192.0.2.2/tcp/1/p2p/{PEER}"]
agree_to_terms = true
"""

BROKER = '[autotls]\nregistration_name = ["Registration.nt.test"]\n'
PROXY = 'external_tls = ["127.0.0.1:80"]\n'


class SettingsTests(SynchronousTestCase):
    """As they stand in a file."""

    def read(self, *more: str, text: str = GOOD) -> IssueSettings:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        file = Path(folder.name) / "issue.toml"
        file.write_text("\n".join([text, *more]))
        return build(IssueSettings, read_file(IssueSettings, file))

    def refusal(self, *more: str) -> str:
        return str(self.assertRaises(SettingsError, self.read, *more))

    def test_one_ca_by_default(self):
        """It is Let's Encrypt, with the limits that it publishes; they can be said otherwise."""
        (ca,) = self.read().cas
        self.assertEqual((ca.directory, ca.limit("certificates_per_week")), (LETS_ENCRYPT, 50))
        (other,) = self.read('acme_directory = "https://ca.test/"').cas
        self.assertEqual(other.limit("certificates_per_week"), 0)
        raised = CaSettings(directory=LETS_ENCRYPT, certificates_per_week=1000)
        self.assertEqual(raised.limit("certificates_per_week"), 1000)

    def test_tables(self):
        """Tables stand in place of the single settings, in their order; each has another directory."""
        tables = '[[ca]]\ndirectory = "https://a.test/"\nroot_file = "/a.pem"\n[[ca]]\ndirectory = "https://b.test/"'
        settings = self.read(tables)
        self.assertEqual([ca.directory for ca in settings.cas], ["https://a.test/", "https://b.test/"])
        self.assertEqual(settings.cas[0].root_file, Path("/a.pem"))
        self.assertIn("another directory", self.refusal(tables.replace("b.test", "a.test")))
        self.assertIn("eab_key_file", self.refusal('[[ca]]\ndirectory = "https://a.test/"\neab_kid = "1"'))
        self.assertIn("unknown field", self.refusal('[[ca]]\ndirectory = "https://a.test/"\nlimits = 1'))
        self.assertIn("ca[1].certificates_per_week", self.refusal(f"{tables}\ncertificates_per_week = -1"))

    def test_what_does_not_fit(self):
        """More servers than there are cannot agree; a listener needs a name; a key must be fit to trust."""
        self.assertIn("quorum: expected at most 1", self.refusal("quorum = 2"))
        self.assertIn("dns_confirmations: expected at most 1", self.refusal("dns_confirmations = 2"))
        self.assertIn("own_names", self.refusal('https_listen = ["127.0.0.1:443"]'))
        self.assertIn("own_names", self.refusal('wss_listen = ["/ip4/127.0.0.1/tcp/0/tls/ws"]', BROKER))
        weak = GOOD.replace(f"tcp/1/p2p/{PEER}", f"tcp/1/p2p/{SMALL_ORDER}", 1)
        self.assertIn("proof_servers: ", str(self.assertRaises(SettingsError, self.read, text=weak)))

    def test_broker(self):
        """On the HTTPS listener, with the one certificate; or behind a proxy, which has one."""
        page = 'own_names = ["issue.nt.test"]\nhttps_listen = ["127.0.0.1:443"]'
        settings = self.read(page, BROKER)
        self.assertTrue(settings.serves_broker)
        self.assertEqual(settings.certificate_names, ("issue.nt.test", "registration.nt.test"))
        alone = self.read('https_listen = ["127.0.0.1:443"]', BROKER)
        self.assertEqual((alone.serves_broker, alone.certificate_names), (True, ("registration.nt.test",)))
        behind = self.read(page, BROKER, PROXY)
        self.assertEqual((behind.serves_broker, behind.certificate_names), (False, ("issue.nt.test",)))
        self.assertEqual(self.read(BROKER, PROXY).certificate_names, ())
        self.assertIsNone(self.read(page).autotls)

    def test_broker_that_does_not_fit(self):
        """It needs a listener, and a name that is not the page's and that a CA signs."""
        self.assertIn("https_listen: expected an address to listen on", self.refusal(BROKER))
        https = 'https_listen = ["127.0.0.1:443"]'
        self.assertIn("own_names: expected a name", self.refusal(https, BROKER, PROXY))
        self.assertIn("autotls.registration_name", self.refusal('own_names = ["registration.nt.test"]', https, BROKER))
        strange = BROKER.replace("Registration", "a_b")
        self.assertIn("autotls.registration_name: ", self.refusal(https, strange))
        for name in ("*.nt.test", "https://r.nt.test", "r.nt.test:443", ""):
            wrong = BROKER.replace("Registration.nt.test", name)
            self.assertIn("autotls.registration_name: expected a host's name", self.refusal(https, wrong))
        self.assertIn("autotls.proxy_protocol", self.refusal(https, BROKER, "proxy_protocol = true"))

    def test_names_of_the_certificate(self):
        """In lower case; a CA takes no name beside a wildcard that covers it."""
        page = 'own_names = ["*.nt.test", "A.b.nt.test", "Other.test"]\nhttps_listen = ["127.0.0.1:443"]'
        self.assertEqual(self.read(page, BROKER).certificate_names, ("*.nt.test", "a.b.nt.test", "other.test"))
