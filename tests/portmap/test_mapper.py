"""The mapped ports of a process."""

from ipaddress import IPv4Address

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.portmap import Mapping, PortMapper, mapper
from nodetrust.portmap.mapping import Place
from tests.portmap.fakes import PLACE
from tests.portmap.test_keeper import ScriptedProtocol
from tests.portmap.test_protocols import FIRST, Gateway


class PortMapperTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway(2)
        self.reactor = self.gateway.reactor
        self.told: list[Mapping | None] = []

        def find(gateway: IPv4Address | None) -> Place:
            return PLACE

        self.patch(mapper, "find_place", find)
        self.mapper = PortMapper(self.reactor, secret=b"secret", steady=self.reactor.seconds)

    def test_several(self) -> None:
        """Each port is mapped by itself, and all are removed by a stop."""
        self.mapper.map(4443, self.told.append)
        self.mapper.map(4001, self.told.append, external_port=14001)
        self.assertEqual(self.told, [])
        self.reactor.settle()
        self.assertEqual({one.external_port for one in self.mapper.mappings}, {4443, 14001})
        self.assertEqual({one.external_address for one in self.mapper.mappings}, {FIRST})
        self.assertEqual(self.gateway.mapped, {4443: 4443, 4001: 14001})
        stopping = Deferred.fromCoroutine(self.mapper.stop())
        self.reactor.settle()
        self.successResultOf(stopping)
        self.assertEqual((self.gateway.mapped, self.mapper.mappings), ({}, []))
        self.assertEqual((self.reactor.getDelayedCalls(), self.reactor.open), ([], 0))

    def test_router_gone(self) -> None:
        """A stop is over in three seconds, whatever the router does."""
        self.mapper.map(4443, self.told.append)
        self.reactor.settle()
        self.gateway.versions = ()
        stopping = Deferred.fromCoroutine(self.mapper.stop())
        self.reactor.pump([0.1] * 30)
        self.successResultOf(stopping)
        self.assertEqual((self.reactor.getDelayedCalls(), self.reactor.open), ([], 0))

    def test_deaf_protocol(self) -> None:
        """Nor does a stop wait longer for a protocol that has more patience."""
        deaf = ScriptedProtocol("UPnP", remove=Deferred())
        self.patch(mapper, "all_protocols", lambda *arguments: lambda place, wanted: [deaf])
        self.mapper = PortMapper(self.reactor, steady=self.reactor.seconds)
        self.mapper.map(4443, self.told.append)
        stopping = Deferred.fromCoroutine(self.mapper.stop())
        self.reactor.advance(2.9)
        self.assertNoResult(stopping)
        self.reactor.advance(0.2)
        self.successResultOf(stopping)

    def test_look(self) -> None:
        """A look out of turn finds what has changed."""
        self.mapper.map(4443, self.told.append)
        self.reactor.settle()
        self.gateway.address = IPv4Address("45.20.1.7")
        self.mapper.look()
        self.reactor.settle()
        self.assertEqual([one.external_address for one in self.mapper.mappings], [IPv4Address("45.20.1.7")])
