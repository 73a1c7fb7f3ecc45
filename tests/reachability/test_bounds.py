"""How much is dialled at once and how often, whoever asks."""

from __future__ import annotations

from contextlib import ExitStack
from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import E_RATE_LIMIT
from nodetrust.reachability import bounds
from nodetrust.reachability.bounds import (
    BURST,
    DIALS_PER_NETWORK,
    DIALS_PER_PEER,
    MAX_DIALS,
    MAX_DIALS_PER_NETWORK,
    PERIOD_SECONDS,
    RETRY_SECONDS,
    Bounds,
)
from nodetrust.reachability.decide import Asker
from nodetrust.reachability.errors import Refusal
from tests.reachability.support import ASKER, OTHER

NOW = 1_000_000.0


def peer(number: int) -> PeerId:
    return PeerId(b"\x12\x20" + number.to_bytes(32, "big"))


def asker(ip: str = "8.8.8.8", peer: PeerId = ASKER) -> Asker:
    return Asker(peer, ip_address(ip), None)


class BoundsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bounds = Bounds()

    def dial(self, who: Asker, dials: int = 1, now: float = NOW) -> float | None:
        """Dial and be done; how long to wait before, or None if there was room."""
        try:
            with self.bounds.room(who, dials, now):
                return None
        except Refusal as refusal:
            self.assertEqual(refusal.code, E_RATE_LIMIT)
            return refusal.retry_after_seconds

    def test_a_peer(self) -> None:
        """A peer has so many dials in a period, wherever it comes from, and is told when the next one is there."""
        for number in range(DIALS_PER_PEER):
            self.assertIsNone(self.dial(asker(f"8.8.8.{number}")))
        wait = self.dial(asker("8.8.8.99"))
        self.assertAlmostEqual(wait, PERIOD_SECONDS / DIALS_PER_PEER)
        self.assertIsNone(self.dial(asker("8.8.8.99"), now=NOW + wait))

    def test_a_network(self) -> None:
        """So has an IPv4 address and an IPv6 /56, whatever peers are made up there; the neighbour has its own."""
        for first, same, neighbour in (
            ("8.8.8.8", "8.8.8.8", "8.8.8.9"),
            ("2606:4700::1", "2606:4700:0:ff::9", "2606:4700:0:100::1"),
        ):
            for number in range(DIALS_PER_NETWORK // 8):
                self.assertIsNone(self.dial(asker(first, peer(number)), 8))
            self.assertAlmostEqual(self.dial(asker(same, OTHER)), PERIOD_SECONDS / DIALS_PER_NETWORK)
            self.assertIsNone(self.dial(asker(neighbour, PrivateKey.generate().peer_id)))

    def test_what_is_refused_costs_nothing(self) -> None:
        """A refusal by one bucket draws from no other."""
        for number in range(DIALS_PER_NETWORK // 8):
            self.dial(asker("8.8.8.8", peer(number)), 8)
        for _ in range(100):
            self.assertIsNotNone(self.dial(asker("8.8.8.8", OTHER)))
        self.assertIsNone(self.dial(asker("8.8.8.9", OTHER), 8))
        self.assertIsNone(self.dial(asker("8.8.8.9", OTHER), 8))

    def test_at_once_from_a_network(self) -> None:
        """One full request at a time; when it is done there is room again, also if it has failed."""
        with self.bounds.room(asker(), MAX_DIALS_PER_NETWORK, NOW):
            self.assertEqual(self.dial(asker(peer=OTHER)), RETRY_SECONDS)
            self.assertIsNone(self.dial(asker("8.8.8.9", OTHER)))
        self.assertIsNone(self.dial(asker(peer=OTHER)))
        with self.assertRaises(ZeroDivisionError), self.bounds.room(asker(), 8, NOW):
            raise ZeroDivisionError
        self.assertIsNone(self.dial(asker(peer=OTHER)))

    def test_at_once(self) -> None:
        """All networks together dial no more than so many at once."""
        with ExitStack() as running:
            for number in range(MAX_DIALS // 8):
                running.enter_context(self.bounds.room(asker(f"8.8.8.{number}", peer(number)), 8, NOW))
            self.assertEqual(self.dial(asker("8.8.9.1", OTHER)), RETRY_SECONDS)
        self.assertIsNone(self.dial(asker("8.8.9.1", OTHER)))

    def test_everybody(self) -> None:
        """All together begin a check no more often than so, wherever they come from; who is refused has not paid."""
        waits = [self.dial(asker(f"8.8.{number // 250}.{number % 250}", peer(number))) for number in range(1000)]
        self.assertEqual(waits.count(None), BURST)
        for _ in range(DIALS_PER_PEER):
            self.assertEqual(self.dial(asker("8.9.9.9", OTHER)), RETRY_SECONDS)
        self.assertIsNone(self.dial(asker("8.9.9.9", OTHER), now=NOW + 1))

    def test_memory(self) -> None:
        """What is remembered of very many askers is bounded, and who has drawn most is remembered longest."""
        self.patch(bounds, "MAX_BUCKETS", 100)
        self.bounds = Bounds()
        self.patch(self.bounds, "_all", bounds.TokenBucket(100_000, 0.0))
        self.dial(asker(), 8)
        self.dial(asker(), 8)
        for number in range(10_000):
            self.dial(asker(f"9.8.{number // 250}.{number % 250}", peer(number)), now=NOW + number / 1000)
            self.assertLessEqual(len(self.bounds._buckets), 100)
        self.assertIsNotNone(self.dial(asker("8.8.4.4"), 8, NOW + 10))
        self.assertEqual(self.bounds._dials, {})
