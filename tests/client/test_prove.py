"""Which addresses of a proof server are dialled for one proof."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.prove import by_family
from nodetrust.libp2p.multiaddr import Multiaddr


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
