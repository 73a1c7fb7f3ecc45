"""Key files: whole, for their owner alone, and never anything else than ECDSA P-256."""

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.dnssec.keys import ZoneKey, create, load
from nodetrust.dns.errors import ZoneError, ZoneKeyError
from tests.dns.example import ORIGIN


class KeyFileTests(SynchronousTestCase):
    """`create` and `load`."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "zone.key"

    def pem(self, private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes = b"") -> None:
        """Put a key into the file."""
        protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        self.path.write_bytes(
            private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
        )
        self.path.chmod(0o600)

    def test_round_trip(self) -> None:
        """What was made is what is read; its file is the owner's, and nothing but it and the text is left there."""
        made = create(self.path, ORIGIN)
        self.assertEqual(load(self.path).dnskey, made.dnskey)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertEqual(sorted(os.listdir(self.folder)), ["zone.key", "zone.key.txt"])

    def test_not_overwritten(self) -> None:
        """A file that is there stays as it is."""
        self.path.write_text("mine")
        self.assertRaisesRegex(ZoneKeyError, "never overwritten", create, self.path, ORIGIN)
        self.assertEqual((self.path.read_text(), os.listdir(self.folder)), ("mine", ["zone.key"]))

    def test_refused(self) -> None:
        """Other kinds of keys, locked ones and what is no key at all; each names its file, and is a ZoneError."""
        p256 = ec.generate_private_key(ec.SECP256R1())
        for put in (
            lambda: self.pem(ec.generate_private_key(ec.SECP384R1())),
            lambda: self.pem(ed25519.Ed25519PrivateKey.generate()),
            lambda: self.pem(p256, b"secret"),
            lambda: self.path.write_text("-----BEGIN PRIVATE KEY-----\n"),
            lambda: self.path.write_bytes(os.urandom(100_000)),
            self.path.unlink,
        ):
            put()
            error = self.assertRaises(ZoneKeyError, load, self.path)
            self.assertIsInstance(error, ZoneError)
            self.assertIn(str(self.path), str(error))

    def test_secret_stays_secret(self) -> None:
        """What a traceback or a log would show of a key is public."""
        self.assertNotIn("private", repr(ZoneKey(ec.generate_private_key(ec.SECP256R1()))))
