"""The settings of the client, as far as they must fit together."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.settings import ClientSettings
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.settings import SettingsError, from_values

ISSUER = f"/ip4/192.0.2.1/tcp/1/p2p/{PrivateKey.generate().peer_id}"


class AutoTlsTests(SynchronousTestCase):
    """Which ways to a certificate there are."""

    def brokers(self, **values: Any) -> tuple[str, ...]:
        return from_values(ClientSettings, values).brokers

    def error(self, **values: Any) -> str:
        return str(self.assertRaises(SettingsError, from_values, ClientSettings, values))

    def test_one_way_at_least(self) -> None:
        """An issue server, or AutoTLS."""
        self.assertIn("issuer", self.error())
        self.assertEqual(self.brokers(issuer=ISSUER), ())

    def test_the_default_broker(self) -> None:
        """That of libp2p.direct, or of another domain by the same rule."""
        self.assertEqual(self.brokers(autotls=True), ("https://registration.libp2p.direct",))
        self.assertEqual(self.brokers(autotls=True, domain="Auto.Example."), ("https://registration.auto.example",))

    def test_brokers(self) -> None:
        """To name one turns it on; several stay in their order."""
        self.assertEqual(self.brokers(broker="https://a.example"), ("https://a.example",))
        both = ("https://b.example:8443/forge", "https://a.example")
        self.assertEqual(self.brokers(broker=both, issuer=ISSUER), both)

    def test_urls(self) -> None:
        """Only https, and nothing that does not belong into one."""
        for url in (
            "http://a.example",
            "a.example",
            "https://",
            "https://me@a.example",
            "https://a.example:99999",
            "https://a.example/?x",
            "https://a.example/#x",
            "https://ä.example",
            "https://a.example/\n",
        ):
            self.assertIn("broker: expected an https URL", self.error(broker=url))
            self.assertIn("acme_directory: expected an https URL", self.error(autotls=True, acme_directory=url))

    def test_the_preference(self) -> None:
        """It is one of two words."""
        self.assertIn("prefer", self.error(autotls=True, prefer="broker"))
