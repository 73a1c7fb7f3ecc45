"""What is known of whether others can connect to a peer, before a CA is asked."""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.autotls.errors import NotReachable
from nodetrust.client.autotls.places import ips_of
from nodetrust.client.autotls.reachable import check_from_outside
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
            return [Checked(one, outcome, PEER) for one, outcome in zip(addresses, outcomes, strict=True)]

        return Deferred.fromCoroutine(check_from_outside(ask, doors)(PLACES))

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
        """A server that will not dial, servers that do not answer, and none at all, are no reason to give up."""
        unwilling = Outcome(CheckFault.NOT_ALLOWED)
        self.assertIsNone(self.successResultOf(self.check(unwilling, unwilling)))
        self.assertIsNone(self.successResultOf(self.check(error=NotChecked("nobody"))))
        alone = Deferred.fromCoroutine(check_from_outside(None, doors)(PLACES))
        self.assertIsNone(self.successResultOf(alone))
