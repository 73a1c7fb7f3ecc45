"""Addresses as octets."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.limits.sources import pack_host, unmapped


class SourceTests(SynchronousTestCase):
    """`pack_host` and `unmapped`."""

    def test_one_client_has_one_source(self) -> None:
        """The same address gives the same octets, however a socket shows it; a scope is no part of it."""
        for text, packed in (
            ("192.0.2.1", "c0000201"),
            ("::ffff:192.0.2.1", "c0000201"),
            ("2001:db8::1", "20010db8000000000000000000000001"),
            ("fe80::1%eth0", "fe800000000000000000000000000001"),
            ("/run/socket", ""),
        ):
            self.assertEqual(pack_host(text), bytes.fromhex(packed), text)
        self.assertEqual(unmapped(bytes(10) + b"\xff\xff\xc0\0\2\1"), b"\xc0\0\2\1")
        self.assertEqual(unmapped(bytes(16)), bytes(16))
