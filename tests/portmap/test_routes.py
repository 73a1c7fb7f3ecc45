"""The default gateway, as Linux has it."""

import sys
from ipaddress import IPv4Address
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.portmap.errors import NoGatewayError
from nodetrust.portmap.mapping import Place
from nodetrust.portmap.routes import default_gateway, find_gateway, find_place

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


def route(destination: str, gateway: str, flags: int, metric: int, mask: str = "0.0.0.0") -> str:
    numbers = [f"{int.from_bytes(IPv4Address(one).packed, sys.byteorder):08X}" for one in (destination, gateway, mask)]
    return f"eth0\t{numbers[0]}\t{numbers[1]}\t{flags:04X}\t0\t0\t{metric}\t{numbers[2]}\t0\t0\t0\n"


class DefaultGatewayTests(SynchronousTestCase):
    def test_default_route(self) -> None:
        """The gateway of the default route, not of others."""
        table = HEAD + route("10.0.0.0", "10.9.9.9", 3, 0, "255.0.0.0") + route("0.0.0.0", "192.168.1.1", 3, 100)
        self.assertEqual(default_gateway(table), IPv4Address("192.168.1.1"))

    def test_lowest_metric(self) -> None:
        """Of several, the one that the system uses."""
        table = HEAD + route("0.0.0.0", "192.168.2.1", 3, 600) + route("0.0.0.0", "192.168.1.1", 3, 100)
        self.assertEqual(default_gateway(table), IPv4Address("192.168.1.1"))

    def test_tunnel(self) -> None:
        """A default route without a gateway, or one that is down, leads to no router; nor does half of the internet."""
        table = HEAD + route("0.0.0.0", "0.0.0.0", 1, 0) + route("0.0.0.0", "192.168.1.1", 2, 0)
        self.assertIsNone(default_gateway(table + route("0.0.0.0", "192.168.1.1", 3, 0, "128.0.0.0")))

    @given(st.text())
    def test_garbage(self, text: str) -> None:
        """What is no table has no gateway."""
        self.assertIsNone(default_gateway(HEAD + text))


class FindTests(SynchronousTestCase):
    def test_other_systems(self) -> None:
        """Where there is no such table, the error says where it would be read from."""
        error = self.assertRaises(NoGatewayError, find_gateway, Path(self.mktemp()))
        self.assertIn("Linux", str(error))

    def test_no_default_route(self) -> None:
        """A machine without one has no router."""
        path = Path(self.mktemp())
        path.write_text(HEAD)
        self.assertRaises(NoGatewayError, find_gateway, path)

    def test_found(self) -> None:
        """The table's word."""
        path = Path(self.mktemp())
        path.write_text(HEAD + route("0.0.0.0", "192.168.1.1", 3, 100))
        self.assertEqual(find_gateway(path), IPv4Address("192.168.1.1"))

    def test_own_address(self) -> None:
        """The address from which the system reaches a gateway is ours."""
        loopback = IPv4Address("127.0.0.1")
        self.assertEqual(find_place(loopback), Place(loopback, loopback))
