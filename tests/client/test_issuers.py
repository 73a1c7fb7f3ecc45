"""Several issue servers: which is asked, and what a failure of one means."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.errors import IssuerUnreachable, NoIssuer, Refused
from nodetrust.client.issuers import Issuers, by_server
from nodetrust.client.renewal import FIRST_REDIAL_SECONDS, seconds_to_retry
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import E_RATE_LIMIT

PEERS = [PrivateKey.generate().peer_id for _ in range(3)]
PLACES = [Multiaddr.parse(f"/ip4/192.0.2.{number}/tcp/1").with_peer_id(peer) for number, peer in enumerate(PEERS)]


class ByServerTests(SynchronousTestCase):
    """Which addresses are whose."""

    def test_in_the_order_of_first_mention(self) -> None:
        """A server's addresses need not stand together."""
        also = Multiaddr.parse("/ip6/2001:db8::1/tcp/1").with_peer_id(PEERS[0])
        self.assertEqual(by_server([PLACES[0], PLACES[1], also]), ((PLACES[0], also), (PLACES[1],)))


class IssuersTests(SynchronousTestCase):
    """Three servers, of which some fail."""

    def setUp(self) -> None:
        self.now = 0.0
        self.asked: list[Multiaddr] = []
        self.errors: dict[Multiaddr, Exception] = {}
        self.issuers = Issuers(PLACES, lambda: self.now)

    async def work(self, issuer: Sequence[Multiaddr]) -> Multiaddr:
        self.asked.append(issuer[0])
        if issuer[0] in self.errors:
            raise self.errors[issuer[0]]
        return issuer[0]

    def ask(self) -> Multiaddr:
        self.asked.clear()
        return self.successResultOf(Deferred.fromCoroutine(self.issuers.first(self.work)))

    def test_the_first_is_asked_first(self) -> None:
        """And nobody else, while it does what it is asked."""
        self.assertEqual((self.ask(), self.asked), (PLACES[0], PLACES[:1]))

    def test_the_next_where_one_fails(self) -> None:
        """And the first again the next time."""
        self.errors[PLACES[0]] = IssuerUnreachable("gone")
        self.assertEqual((self.ask(), self.asked), (PLACES[1], PLACES[:2]))
        self.errors.clear()
        self.assertEqual(self.ask(), PLACES[0])

    def test_one_that_wants_to_be_left_alone(self) -> None:
        """It is not asked again before the time that it has said."""
        self.errors[PLACES[0]] = Refused("too many", E_RATE_LIMIT, 3600)
        self.ask()
        self.now = 3599.0
        self.assertEqual((self.ask(), self.asked), (PLACES[1], PLACES[1:2]))
        self.now = 3600.0
        self.ask()
        self.assertEqual(self.asked, PLACES[:2])

    def test_none_of_them(self) -> None:
        """Every reason is told, and the server that can be asked the soonest says when to try again."""
        self.errors = dict.fromkeys(PLACES, IssuerUnreachable("gone"))
        self.errors[PLACES[1]] = Refused("too many", E_RATE_LIMIT, 86400)
        failure = self.failureResultOf(Deferred.fromCoroutine(self.issuers.first(self.work)), NoIssuer)
        self.assertEqual(str(failure.value), "no server did it: gone; too many; gone")
        self.assertEqual(seconds_to_retry(1, 0.0, failure.value), FIRST_REDIAL_SECONDS)

    def test_one_alone_fails_as_itself(self) -> None:
        """And is asked at whatever time: who asks knows how long to wait."""
        alone = Issuers(PLACES[:1], lambda: self.now)
        self.errors[PLACES[0]] = Refused("too many", E_RATE_LIMIT, 3600)
        for _ in range(2):
            failure = self.failureResultOf(Deferred.fromCoroutine(alone.first(self.work)), Refused)
            self.assertEqual(failure.value.retry_after_seconds, 3600)
