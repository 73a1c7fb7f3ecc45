"""Which addresses a broker is asked to connect to."""

from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.autotls.places import MAX_PLACES, ips_of, observed_by, places, seen_at
from nodetrust.libp2p.identify.wire import Identify
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr

FOURTH, SIXTH, PRIVATE = ip_address("1.2.3.4"), ip_address("2a01::1"), ip_address("192.168.1.2")
PEERS = [PrivateKey.generate().peer_id for _ in range(3)]


def as_it_is(ip: Any, port: int) -> int:
    """No router in between."""
    return port


class PlacesTests(SynchronousTestCase):
    """From where it listens to where it is dialled."""

    def places(
        self, *listening: str, ips: Any = (FOURTH, SIXTH, PRIVATE), port: Any = as_it_is, **more: Any
    ) -> list[str]:
        found = places(map(Multiaddr.parse, listening), ips, port, **more)
        return list(map(str, found))

    def test_everywhere(self) -> None:
        """An unspecified address stands for each that is public, of its family; `::` takes both."""
        self.assertEqual(self.places("/ip4/0.0.0.0/tcp/1"), ["/ip4/1.2.3.4/tcp/1"])
        self.assertEqual(self.places("/ip6/::/tcp/1"), ["/ip4/1.2.3.4/tcp/1", "/ip6/2a01::1/tcp/1"])

    def test_one_address(self) -> None:
        """It stands for itself, if it is public."""
        self.assertEqual(
            self.places("/ip4/5.6.7.8/tcp/1", "/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1"), ["/ip4/5.6.7.8/tcp/1"]
        )

    def test_private_ones(self) -> None:
        """They are taken where they may be."""
        found = self.places("/ip4/0.0.0.0/tcp/1", allow_private=True)
        self.assertEqual(found, ["/ip4/1.2.3.4/tcp/1", "/ip4/192.168.1.2/tcp/1"])

    def test_web_sockets(self) -> None:
        """Plain ones are dialled; secure ones are not, for there may be no certificate yet; nor are names or relays."""
        relayed = f"/ip4/5.6.7.8/tcp/1/p2p/{PEERS[0]}/p2p-circuit"
        listening = ("/ip4/5.6.7.8/tcp/1/ws", "/ip4/5.6.7.8/tcp/2/tls/ws", "/dns4/a.example/tcp/3", relayed)
        self.assertEqual(self.places(*listening), ["/ip4/5.6.7.8/tcp/1/ws"])

    def test_a_mapped_port(self) -> None:
        """The port outside is named."""
        found = self.places("/ip6/::/tcp/1", port=lambda ip, port: 7 if ip == FOURTH else port)
        self.assertEqual(found, ["/ip4/1.2.3.4/tcp/7", "/ip6/2a01::1/tcp/1"])

    def test_bounded_and_each_once(self) -> None:
        """However many there are."""
        many = [f"/ip4/5.6.7.{number % 200}/tcp/1" for number in range(400)]
        found = self.places(*many)
        self.assertEqual((len(found), len(set(found))), (MAX_PLACES, MAX_PLACES))

    def test_ips(self) -> None:
        """Those that a certificate is announced for."""
        found = ips_of(map(Multiaddr.parse, ("/ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/tcp/2/ws", "/ip6/2a01::1/tcp/1")))
        self.assertEqual(found, (FOURTH, SIXTH))


class SeenTests(SynchronousTestCase):
    """What others say of where we are."""

    def test_who_is_believed(self) -> None:
        """A peer whom the user has named, or two others."""
        observed = {PEERS[0]: {FOURTH}, PEERS[1]: {SIXTH}, PEERS[2]: {SIXTH}}
        self.assertEqual(seen_at(observed, []), [SIXTH])
        self.assertEqual(set(seen_at(observed, [PEERS[0]])), {FOURTH, SIXTH})

    def test_which_connections_count(self) -> None:
        """Those that we have dialled: one that came in shows us where it was dialled, and that is what it says, too."""

        def connection(peer: Any, outbound: bool, address: str | None) -> Any:
            identify = Identify(observed_address=None if address is None else Multiaddr.parse(address))
            return SimpleNamespace(remote_peer=peer, outbound=outbound, remote_identify=identify)

        connections = [
            connection(PEERS[0], True, "/ip4/1.2.3.4/tcp/1"),
            connection(PEERS[1], False, "/ip4/1.2.3.4/tcp/1"),
            connection(PEERS[2], True, None),
            SimpleNamespace(remote_peer=PEERS[2], outbound=True, remote_identify=None),
        ]
        self.assertEqual(observed_by(connections), {PEERS[0]: {FOURTH}})
