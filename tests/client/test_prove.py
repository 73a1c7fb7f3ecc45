"""Which addresses of a proof server are dialled for one proof, and which proofs are sent on."""

from ipaddress import ip_address

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.errors import NoProofs
from nodetrust.client.prove import Found, agreed, by_family, in_time
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import ProofWrapper
from nodetrust.names import IPAddress
from nodetrust.proofs import OutOfTime, Proven


class FamilyTests(SynchronousTestCase):
    def families(self, *addresses: str) -> list[list[str]]:
        return [list(map(str, family)) for family in by_family([*map(Multiaddr.parse, addresses)])]

    def test_each_family_by_itself(self) -> None:
        """Addresses and names of one family stand together."""
        self.assertEqual(
            self.families("/ip4/192.0.2.1/tcp/1", "/ip6/2001:db8::1/tcp/1", "/dns4/a.example/tcp/2"),
            [["/ip4/192.0.2.1/tcp/1", "/dns4/a.example/tcp/2"], ["/ip6/2001:db8::1/tcp/1"]],
        )

    def test_a_name_for_both(self) -> None:
        """It is looked up for each family, and what stands behind it stays."""
        self.assertEqual(
            self.families("/dns/a.example/tcp/443/tls/ws"),
            [["/dns4/a.example/tcp/443/tls/ws"], ["/dns6/a.example/tcp/443/tls/ws"]],
        )

    def test_no_address(self) -> None:
        """There is still one try, which can say that there is nothing to dial."""
        self.assertEqual(self.families(), [[]])


ONE, TWO = (PrivateKey.generate().peer_id for _ in range(2))
V4, V6 = ip_address("8.8.8.8"), ip_address("2606:4700::1111")


def found(server: object, *addresses: IPAddress, ahead_ms: int = 0) -> Found:
    out_of_time = OutOfTime(server, ahead_ms, None) if ahead_ms else None
    return Found(server, ProofWrapper(), Proven(addresses, 0, server, None), out_of_time)


class AgreedTests(SynchronousTestCase):
    """`agreed`."""

    def test_servers_are_counted(self) -> None:
        """Two proofs of one server are one voice; what too few vouch for is left out."""
        proofs = [found(ONE, V4), found(ONE, V4), found(ONE, V6), found(TWO, V6)]
        self.assertEqual(set(agreed(proofs, 0)), {V4, V6})
        self.assertEqual(set(agreed(proofs, 1)), {V4, V6})
        self.assertEqual(agreed(proofs, 2), (V6,))

    def test_nothing_is_left(self) -> None:
        """The error says how many of how many."""
        error = self.assertRaises(NoProofs, agreed, [found(ONE, V4)], 2)
        self.assertIn("1 of 2 for 8.8.8.8", str(error))


class TimeTests(SynchronousTestCase):
    """`in_time`."""

    def test_a_server_with_a_wrong_clock(self) -> None:
        """Its proof would spoil the request and is left out; the log names the server and the difference."""
        right, wrong = found(ONE, V4), found(TWO, V4, ahead_ms=-400_000)
        with capturedLogs() as events:
            self.assertEqual(in_time([right, wrong]), [right])
        (event,) = events
        self.assertIn("400 seconds behind", event["reason"])

    def test_the_clock_here_is_wrong(self) -> None:
        """A peer whose own clock is wrong gets its certificate all the same."""
        both = [found(ONE, V4, ahead_ms=400_000), found(TWO, V4, ahead_ms=400_100)]
        self.assertEqual(in_time(both), both)
