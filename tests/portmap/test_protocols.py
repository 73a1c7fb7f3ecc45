"""NAT-PMP and PCP with a gateway in memory."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.portmap.errors import NoAnswerError, RefusedError
from nodetrust.portmap.mapping import Granted, Place
from nodetrust.portmap.natpmp import NatPmp
from nodetrust.portmap.pcp import Pcp
from nodetrust.portmap.pcp.transport import mapping_nonce
from tests.portmap.fakes import PLACE, WANTED, DatagramReactor

FIRST, SECOND = IPv4Address("45.20.1.1"), IPv4Address("45.20.1.7")


class Gateway:
    """Speaks NAT-PMP and PCP as RFC 6886 and RFC 6887 say; `versions` are those that it knows."""

    def __init__(self, *versions: int) -> None:
        self.versions = versions
        self.address = FIRST
        self.started = -5000.0
        self.mapped: dict[int, int] = {}
        self.result = 0
        self.lifetime: int | None = None
        self.taken: set[int] = set()
        self.reactor = DatagramReactor(self.hear)

    def restart(self) -> None:
        self.started = self.reactor.seconds()
        self.mapped.clear()

    def hear(self, data: bytes, to: Any) -> list[bytes]:
        if data[0] not in self.versions:
            return [struct.pack("!BBHI", 0, data[1] | 128, 1, 0)] if self.versions else []
        return [self._answer_pcp(data) if data[0] == 2 else self._answer_nat_pmp(data)]

    def _map(self, internal: int, wanted: int, lifetime: int) -> tuple[int, int]:
        if lifetime == 0:
            self.mapped.pop(internal, None)
            return 0, 0
        while wanted in self.taken:
            wanted += 1
        self.mapped[internal] = wanted
        return wanted, lifetime if self.lifetime is None else self.lifetime

    @property
    def _epoch(self) -> int:
        return int(self.reactor.seconds() - self.started)

    def _answer_nat_pmp(self, data: bytes) -> bytes:
        head = struct.pack("!BBHI", 0, 128 | data[1], self.result, self._epoch)
        if self.result:
            return head
        if data[1] == 0:
            return head + self.address.packed
        _, internal, wanted, lifetime = struct.unpack("!HHHI", data[2:])
        return head + struct.pack("!HHI", internal, *self._map(internal, wanted, lifetime))

    def _answer_pcp(self, data: bytes) -> bytes:
        lifetime = int.from_bytes(data[4:8], "big")
        body = data[24:]
        if len(body) and not self.result:
            internal, wanted = struct.unpack("!HH", body[16:20])
            wanted, lifetime = self._map(internal, wanted, lifetime)
            body = body[:18] + struct.pack("!H", wanted) + bytes(10) + b"\xff\xff" + self.address.packed
        head = struct.pack("!BBBBII", 2, 128 | data[1], 0, self.result if len(body) else 0, lifetime, self._epoch)
        return head + bytes(12) + body


class ProtocolMixin:
    """What holds for both."""

    version: int

    def setUp(self) -> None:
        self.gateway = Gateway(self.version)
        self.protocol = self.make()

    def make(self) -> Any:
        raise NotImplementedError

    def finish(self, coroutine: Any) -> Any:
        asked = Deferred.fromCoroutine(coroutine)
        self.gateway.reactor.settle()
        return asked

    def get(self, coroutine: Any) -> Any:
        return self.successResultOf(self.finish(coroutine))  # type: ignore[attr-defined]

    def test_mapped(self) -> None:
        """The port, address and lifetime that the gateway has chosen."""
        self.gateway.taken = {4443}
        self.gateway.lifetime = 120
        self.get(self.protocol.probe())
        self.assertEqual(self.gateway.mapped, {})  # type: ignore[attr-defined]
        self.assertEqual(self.get(self.protocol.add()), Granted(FIRST, 4444, 120))  # type: ignore[attr-defined]

    def test_removed(self) -> None:
        """A removal ends the mapping; where none was asked for, nothing is sent."""
        self.get(self.protocol.remove())
        self.assertEqual(self.gateway.reactor.sent, [])  # type: ignore[attr-defined]
        self.get(self.protocol.add())
        self.get(self.protocol.remove())
        self.assertEqual(self.gateway.mapped, {})  # type: ignore[attr-defined]

    def test_renewed_at_the_same_port(self) -> None:
        """A renewal asks for the port that was given, not for the one that was wanted."""
        self.gateway.taken = {4443}
        self.get(self.protocol.add())
        self.gateway.taken = set()
        self.assertEqual(self.get(self.protocol.add()).external_port, 4444)  # type: ignore[attr-defined]

    def test_forgotten(self) -> None:
        """A gateway that began anew has the port mapped again."""
        self.get(self.protocol.probe())
        self.get(self.protocol.add())
        self.gateway.restart()
        self.gateway.reactor.advance(120)
        self.assertEqual(self.get(self.protocol.check()), Granted(FIRST, 4443, 3600))  # type: ignore[attr-defined]
        self.assertEqual(self.gateway.mapped, {4443: 4443})  # type: ignore[attr-defined]

    def test_other_address(self) -> None:
        """Another external address is noticed."""
        self.get(self.protocol.probe())
        self.get(self.protocol.add())
        self.gateway.address = SECOND
        granted = self.get(self.protocol.check())
        self.assertEqual(granted.external_address, SECOND)  # type: ignore[attr-defined]

    def test_no_address(self) -> None:
        """A gateway that is not connected itself is none."""
        self.gateway.address = IPv4Address(0)
        self.failureResultOf(self.finish(self.protocol.add()), RefusedError)  # type: ignore[attr-defined]

    def test_nothing_granted(self) -> None:
        """A yes with no lifetime is a no."""
        self.gateway.lifetime = 0
        self.failureResultOf(self.finish(self.protocol.add()), RefusedError)  # type: ignore[attr-defined]

    def test_refused(self) -> None:
        """The gateway's reason."""
        self.gateway.result = 2
        self.failureResultOf(self.finish(self.protocol.add()), RefusedError)  # type: ignore[attr-defined]

    def test_other_version(self) -> None:
        """A gateway that speaks the other one alone says so, and is not waited for."""
        self.gateway.versions = (1,)
        self.failureResultOf(self.finish(self.protocol.probe()), NoAnswerError)  # type: ignore[attr-defined]


class NatPmpTests(ProtocolMixin, SynchronousTestCase):
    version = 0

    def make(self) -> Any:
        return NatPmp(self.gateway.reactor, PLACE, WANTED, self.gateway.reactor.seconds)

    def test_unchanged(self) -> None:
        """A look at a mapping that is as it was changes nothing, and asks for nothing but the address."""
        self.get(self.protocol.probe())
        self.get(self.protocol.add())
        self.gateway.reactor.advance(120)
        self.gateway.reactor.sent.clear()
        self.assertIsNone(self.get(self.protocol.check()))
        self.assertEqual([data for data, _ in self.gateway.reactor.sent], [b"\0\0"])


class PcpTests(ProtocolMixin, SynchronousTestCase):
    version = 2

    def make(self) -> Any:
        return Pcp(self.gateway.reactor, PLACE, WANTED, b"secret")

    def test_nonce(self) -> None:
        """The same secret gives the same nonce at the same place; another port, place or secret another one."""
        elsewhere = Place(IPv4Address("192.168.2.1"), PLACE.own_address)
        ours = mapping_nonce(b"secret", PLACE, 4443)
        self.assertEqual(ours, mapping_nonce(b"secret", PLACE, 4443))
        others = {
            mapping_nonce(b"secret", PLACE, 4444),
            mapping_nonce(b"secret", elsewhere, 4443),
            mapping_nonce(b"other", PLACE, 4443),
        }
        self.assertEqual(len(others - {ours}), 3)
