"""Which addresses a client has to offer, by what is listened on, mapped, and behind."""

from ipaddress import IPv4Address, ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

import nodetrust.client.edge as edge_module
from nodetrust.client.edge import Edge, reaches_ipv4
from nodetrust.client.forward.target import Target
from nodetrust.client.settings import ClientSettings
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.limits import Limits
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.names import name_for_address
from nodetrust.portmap import Mapping

KEY = PrivateKey.generate()
FOUR, SIX, ELSEWHERE = ip_address("1.2.3.4"), ip_address("2001:db8::1"), ip_address("100.64.0.9")
ISSUER = Multiaddr.parse("/ip4/192.0.2.9/tcp/1").with_peer_id(KEY.peer_id)


class FakeMapper:
    """Maps nothing by itself: the tests say what the router says."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.asked: dict[int, Any] = {}
        self.wishes: dict[int, int] = {}
        self.looks = 0
        self.no_public_address = False
        self.stopping: Deferred[None] = Deferred()

    def look(self) -> None:
        self.looks += 1

    def map(self, port: int, changed: Any, *, external_port: int) -> None:
        self.asked[port] = changed
        self.wishes[port] = external_port

    async def stop(self) -> None:
        await self.stopping


class FakeForwarder:
    """Notes its limits, and that it has been stopped."""

    def __init__(self, *args: Any, limits: Limits, **kwargs: Any) -> None:
        self.limits = limits
        self.stopped = False

    async def listen(self, address: Multiaddr, tls: CertificateStore) -> Multiaddr:
        return address

    async def stop(self) -> None:
        self.stopped = True


class FakeHost:
    """Listens on whatever it is told."""

    key, peer_id = KEY, KEY.peer_id

    async def listen(self, address: Multiaddr, tls: CertificateStore) -> Multiaddr:
        return address


def mapping(external: IPv4Address, port: int) -> Mapping:
    return Mapping(external, port, IPv4Address("10.0.0.2"), 4443, IPv4Address("10.0.0.1"), "PCP", 3600)


class EdgeTests(SynchronousTestCase):
    """A peer at 1.2.3.4 and 2001:db8::1 that listens for both."""

    def setUp(self) -> None:
        self.patch(edge_module, "PortMapper", FakeMapper)
        self.changes = 0
        names = frozenset(name_for_address(ip, "nt.example") for ip in (FOUR, SIX))
        self.obtained: Any = SimpleNamespace(addresses=(FOUR, SIX), chain=SimpleNamespace(names=names))

    def changed(self) -> None:
        self.changes += 1

    def edge(self, **settings: Any) -> Edge:
        places = {"wss_listen": (Multiaddr.parse("/ip6/::/tcp/4443/tls/ws"),), **settings}
        made: Any = ClientSettings(issuer=(ISSUER,), state=Path("nowhere"), **places)
        host: Any = FakeHost()
        edge = Edge(None, made, host, CertificateStore(), self.changed)
        self.successResultOf(Deferred.fromCoroutine(edge.listen()))
        return edge

    def ports(self, edge: Edge) -> list[str | None]:
        return [one.get("tcp") for one in edge.candidates(self.obtained)]

    def test_without_a_router(self) -> None:
        """The ports that are listened on."""
        self.assertEqual(self.ports(self.edge()), ["4443", "4443"])

    def test_a_mapped_port(self) -> None:
        """It is for IPv4, and for the address that the router has; when it is lost, the own port is all there is."""
        edge = self.edge()
        mapper: Any = edge._mapper
        mapper.asked[4443](mapping(FOUR, 7000))
        self.assertEqual((self.ports(edge), self.changes), (["7000", "4443"], 1))
        self.assertEqual((edge.router.mapped, edge.router.ip), (True, FOUR))
        mapper.asked[4443](mapping(ELSEWHERE, 7000))
        self.assertEqual(self.ports(edge), ["4443", "4443"])
        mapper.asked[4443](None)
        self.assertEqual((self.ports(edge), edge.router.mapped, self.changes), (["4443", "4443"], False, 3))

    def test_seen_elsewhere(self) -> None:
        """The router is asked again where others see us at an IPv4 address that it did not have."""
        edge = self.edge()
        mapper: Any = edge._mapper
        edge.seen_at(FOUR)
        mapper.asked[4443](mapping(FOUR, 7000))
        for ip in (FOUR, SIX):
            edge.seen_at(ip)
        self.assertEqual(mapper.looks, 0)
        edge.seen_at(ELSEWHERE)
        self.assertEqual(mapper.looks, 1)

    def test_no_public_address(self) -> None:
        """What the router has said of itself is known."""
        edge = self.edge()
        self.assertFalse(edge.router.no_public_address)
        mapper: Any = edge._mapper
        mapper.no_public_address = True
        self.assertTrue(edge.router.no_public_address)
        self.assertFalse(self.edge(map_ports=False).router.no_public_address)

    def test_a_port_of_the_users_own(self) -> None:
        """It is what others dial, and what the router is asked for."""
        edge = self.edge(wss_port=443)
        mapper: Any = edge._mapper
        self.assertEqual((mapper.wishes, self.ports(edge)), ({4443: 443}, ["443", "443"]))

    def test_no_mapping(self) -> None:
        """Where it is switched off, and for what only this machine reaches, nobody is asked."""
        self.assertIsNone(self.edge(map_ports=False)._mapper)
        mapper: Any = self.edge(wss_listen=(Multiaddr.parse("/ip4/127.0.0.1/tcp/4443/tls/ws"),))._mapper
        self.assertEqual(mapper.asked, {})

    def test_which_listeners_take_ipv4(self) -> None:
        """From other machines."""
        for text, takes in (
            ("ip4/0.0.0.0", True),
            ("ip6/::", True),
            ("ip6/2001:db8::1", False),
            ("ip4/127.0.0.2", False),
        ):
            self.assertEqual(reaches_ipv4(Multiaddr.parse(f"/{text}/tcp/1/tls/ws")), takes)

    def forwarding(self, **settings: Any) -> Edge:
        """With a node behind, of which nobody asks who it is."""
        self.patch(edge_module, "Forwarder", FakeForwarder)
        self.patch(edge_module, "NodeBehind", lambda *arguments: SimpleNamespace(start=list, stop=list, doubt=list))
        return self.edge(forward=Target.parse("tcp:127.0.0.1:1"), **settings)

    def test_browsers_of_the_node(self) -> None:
        """As many as the setting says, though each takes a connection to the node as well."""
        forwarder = cast(Any, self.forwarding(max_connections=80)._forwarder)
        self.assertEqual(forwarder.limits, Limits(inbound_connections=80, handshakes=64))

    def test_stop(self) -> None:
        """The mappings are taken back; browsers are not kept waiting until the router has answered."""
        edge = self.forwarding()
        stopping = Deferred.fromCoroutine(edge.stop())
        forwarder, mapper = cast(Any, edge._forwarder), cast(Any, edge._mapper)
        self.assertTrue(forwarder.stopped)
        self.assertNoResult(stopping)
        mapper.stopping.callback(None)
        self.successResultOf(stopping)
