"""Tests for nodetrust.libp2p.dialer; that dials lead to connections is tested with the host."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.dialer import DIAL_SECONDS, Dialer, rank
from nodetrust.libp2p.errors import DialError
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr

KEY = PrivateKey.from_seed(b"\x01" * 32)


class Unreachable:
    """A transport on which no dial ever ends, unless it is cancelled."""

    def __init__(self) -> None:
        self.dialed: list[str] = []
        self.given_up = 0

    def supports(self, target: object) -> bool:
        return True

    async def dial(self, target: object) -> object:
        self.dialed.append(target.host)

        def cancelled(_: object) -> None:
            self.given_up += 1

        return await Deferred(cancelled)


class RankTests(SynchronousTestCase):
    """In which order addresses are dialed."""

    def test_rank(self) -> None:
        """Public ones and names first, then private ones, then loopback; each once; else as given."""
        given = [
            "/ip4/127.0.0.1/tcp/1",
            "/ip4/192.168.0.1/tcp/1",
            "/ip4/8.8.8.8/tcp/1",
            "/dns4/a.example/tcp/1",
            "/ip4/8.8.8.8/tcp/1",
            "/ip6/::1/tcp/1",
            "/ip6/2606:4700::1/tcp/1",
        ]
        ranked = [str(address) for address in rank([Multiaddr.parse(text) for text in given])]
        self.assertEqual([given[2], given[3], given[6], given[1], given[0], given[5]], ranked)


class DialerTests(SynchronousTestCase):
    """Time and number of attempts."""

    def test_deadline(self) -> None:
        """Each address has its time from its own beginning; then all is given up, and nothing runs on."""
        clock, transport = Clock(), Unreachable()
        addresses = [Multiaddr.parse(f"/ip4/192.0.2.{n}/tcp/1") for n in (1, 2)]
        dial = Deferred.fromCoroutine(Dialer(clock, KEY.peer_id, [transport], []).dial(addresses, None))
        clock.advance(0.25)
        self.assertEqual(["192.0.2.1", "192.0.2.2"], transport.dialed)
        clock.advance(DIAL_SECONDS - 0.25)
        self.assertEqual(1, transport.given_up)
        self.assertNoResult(dial)
        clock.advance(0.25)
        self.failureResultOf(dial, DialError)
        self.assertEqual((2, []), (transport.given_up, clock.getDelayedCalls()))

    def test_too_many(self) -> None:
        """Of very many addresses only so many are dialed; none at all is an error."""
        clock, transport = Clock(), Unreachable()
        addresses = [Multiaddr.parse(f"/ip4/192.0.2.1/tcp/{n + 1}") for n in range(100)]
        dialer = Dialer(clock, KEY.peer_id, [transport], [])
        dial = Deferred.fromCoroutine(dialer.dial(addresses, None))
        clock.pump([0.25] * 120)
        self.failureResultOf(dial, DialError)
        self.assertEqual(32, len(transport.dialed))
        self.failureResultOf(Deferred.fromCoroutine(dialer.dial([], None)), DialError)
