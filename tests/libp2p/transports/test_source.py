"""From which address is dialled."""

from ipaddress import ip_address
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.transports import source
from nodetrust.libp2p.transports.source import bind_address, source_address


class SourceTests(SynchronousTestCase):
    """What the kernel says; tests/interop/test_source.py has one with temporary addresses."""

    def test_the_kernel(self) -> None:
        """To loopback it sends from loopback; where there is no way, that is no error."""
        self.assertEqual(source_address("127.0.0.1"), ip_address("127.0.0.1"))
        self.assertIsNone(source_address("0.0.0.0.0"))
        self.assertIsNone(source_address("::ffff:999.1.1.1"))

    def test_bind(self) -> None:
        """Only where there may be several lasting and temporary addresses: a global one of IPv6."""
        for place, found, bound in (
            ("2001:db8::1", "2a00:4530::5", ("2a00:4530::5", 0)),
            ("2001:db8::1", "fe80::5", None),
            ("2001:db8::1", "fd00::5", None),
            ("2001:db8::1", None, None),
            ("::1", "::1", None),
            ("192.0.2.1", "203.0.113.5", None),
        ):
            answer: Any = None if found is None else ip_address(found)
            self.patch(source, "source_address", lambda _, answer=answer: answer)
            self.assertEqual(bind_address(place), bound, place)
