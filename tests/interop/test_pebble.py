"""Pebble starts under our harness as the tests expect it."""

from pathlib import Path

from cryptography import x509
from twisted.internet.defer import Deferred

from tests.interop.harness import InteropTestCase
from tests.interop.pebble import Pebble


class PebbleTests(InteropTestCase):
    """Our way of running it."""

    async def test_starts_and_stops(self) -> None:
        """It serves its directory over the HTTPS certificate we made, tells its root, and is gone after stop."""
        pebble = Pebble()
        self.addCleanup(lambda: Deferred.fromCoroutine(pebble.stop()))
        await pebble.start(self.tools.pebble, Path(self.mktemp()), "127.0.0.1:53")
        root = x509.load_pem_x509_certificate(pebble.root_pem)
        self.assertIn("Pebble Root CA", root.subject.rfc4514_string())
        await pebble.stop()
        self.assertTrue(pebble.ended)
