"""What is known of whether others can connect to a peer, before a CA is asked."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.autotls.errors import NotReachable
from nodetrust.client.autotls.places import ips_of
from nodetrust.client.autotls.reachable import PEERS_SECONDS, check_by_peers, check_from_outside
from nodetrust.libp2p.autonat import Reached
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import CheckFault
from nodetrust.reachability.ask import Checked
from nodetrust.reachability.errors import NotChecked
from nodetrust.reachability.outcome import REACHED, Outcome

PEER = PrivateKey.generate().peer_id
PLACES = [Multiaddr.parse("/ip4/1.2.3.4/tcp/4001"), Multiaddr.parse("/ip6/2a01::1/tcp/4001")]


def doors(ips: Sequence[Any]) -> list[Multiaddr]:
    """Where WSS will be."""
    return [Multiaddr.parse(f"/ip{ip.version}/{ip}/tcp/4443/tls/ws").with_peer_id(PEER) for ip in ips]


class OutsideTests(SynchronousTestCase):
    """Servers that dial the WSS port, behind which no TLS handshake succeeds yet."""

    def check(self, *outcomes: Outcome, error: Exception | None = None) -> Deferred[None]:
        self.asked: list[Multiaddr] = []

        async def ask(addresses: Sequence[Multiaddr]) -> list[Checked]:
            self.asked = list(addresses)
            if error is not None:
                raise error
            return [Checked(one, outcome, PEER) for one, outcome in zip(addresses, outcomes, strict=False)]

        async def otherwise(places: Sequence[Multiaddr]) -> None:
            self.unknown += [list(places)]

        self.unknown: list[list[Multiaddr]] = []
        return Deferred.fromCoroutine(check_from_outside(ask, doors, otherwise)(PLACES))

    def test_nobody_answers(self) -> None:
        """Then it is said for each address, and no CA is asked."""
        silent, refused = Outcome(CheckFault.TIMED_OUT), Outcome(CheckFault.CONNECTION_REFUSED)
        error = self.failureResultOf(self.check(silent, refused), NotReachable).value
        for words in ("no CA is asked", "1.2.3.4:4443", "[2a01::1]:4443"):
            self.assertIn(words, str(error))
        self.assertEqual(self.asked, doors(ips_of(PLACES)))

    def test_a_port_is_open(self) -> None:
        """One is enough, whatever answers there."""
        silent = Outcome(CheckFault.TIMED_OUT)
        for outcome in (
            REACHED,
            Outcome(CheckFault.TLS_FAILED),
            Outcome(CheckFault.NO_LIBP2P),
            Outcome(CheckFault.FAILED),
        ):
            self.assertIsNone(self.successResultOf(self.check(silent, outcome)))

    def test_nobody_knows(self) -> None:
        """A server that will not dial, servers that do not answer, and one family alone: others may know."""
        silent, unwilling = Outcome(CheckFault.TIMED_OUT), Outcome(CheckFault.NOT_ALLOWED)
        for outcomes in ((unwilling, unwilling), (silent,), (silent, unwilling), (unwilling, silent)):
            self.assertIsNone(self.successResultOf(self.check(*outcomes)))
            self.assertEqual(self.unknown, [PLACES])
        self.assertIsNone(self.successResultOf(self.check(error=NotChecked("nobody"))))
        self.assertEqual(self.unknown, [PLACES])

    def test_it_is_known(self) -> None:
        """Then nobody else is asked."""
        refused = Outcome(CheckFault.CONNECTION_REFUSED)
        self.failureResultOf(self.check(refused, refused), NotReachable)
        self.assertEqual(self.unknown, [])
        self.successResultOf(self.check(refused, REACHED))
        self.assertEqual(self.unknown, [])


class PeersTests(SynchronousTestCase):
    """Peers that dial the plain port, by AutoNAT. `says` has what each of them finds."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.says: list[Reached] = []
        self.asked: list[Multiaddr] = []

    def servers(self) -> list[Any]:
        return list(range(len(self.says)))

    async def ask(self, server: int, place: Multiaddr) -> Reached:
        self.asked.append(place)
        return self.says[server]

    def check(self, *says: Reached, wait: bool = False) -> Deferred[None]:
        self.says = list(says)
        fake: Any = self
        return Deferred.fromCoroutine(check_by_peers(self.clock, fake, wait=wait)(PLACES))

    def test_two_say_no(self) -> None:
        """Of each address: then no CA is asked."""
        error = self.failureResultOf(self.check(Reached.NO, Reached.NO, Reached.UNKNOWN), NotReachable).value
        self.assertIn(str(PLACES[1]), str(error))

    def test_one_says_yes(self) -> None:
        """Of one address: that is enough, and nobody is asked about the others."""
        self.assertIsNone(self.successResultOf(self.check(Reached.NO, Reached.NO, Reached.YES)))
        self.assertEqual(set(self.asked), set(PLACES[:1]))

    def test_too_few(self) -> None:
        """A single peer's no may be its own fault, or a lie. That nobody knows is said."""
        for says in ((Reached.NO,), (Reached.NO, Reached.UNKNOWN), ()):
            with capturedLogs() as events:
                self.assertIsNone(self.successResultOf(self.check(*says)))
            self.assertIn("the broker will find out", events[-1]["log_format"])

    def test_peers_that_come_later(self) -> None:
        """They are waited for at the start, for a while."""
        waiting = self.check(wait=True)
        self.assertNoResult(waiting)
        self.says = [Reached.NO, Reached.NO]
        self.clock.advance(1)
        self.failureResultOf(waiting, NotReachable)
        waiting = self.check(wait=True)
        self.clock.advance(PEERS_SECONDS)
        self.assertIsNone(self.successResultOf(waiting))
