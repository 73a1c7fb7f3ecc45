"""The CA is down for a month, and a thousand peers need it."""

from collections import Counter
from datetime import timedelta

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme import AcmeServerTrouble, AcmeUnreachable
from nodetrust.acme.wire import RenewalWindow
from nodetrust.client.renewal import SPREAD
from nodetrust.issue.authorities.pauses import LONGEST_SECONDS as LONGEST_PAUSE_SECONDS
from tests.simulation.timeline import DAY, HOUR
from tests.simulation.world import Peer, World

PEERS = 1000
OUTAGE = 30 * DAY
OLDEST = 63 * DAY
"""Of a certificate of 90 days that is not renewed yet."""

LAST_PAUSE = LONGEST_PAUSE_SECONDS * (1 + SPREAD) + HOUR
"""From the end of an outage, until everybody has asked again: a pause of a day, and what is added to it by chance."""


class OutageTests(SynchronousTestCase):
    """Certificates of 90 days, of all ages at which they are not renewed yet."""

    def outage(self, world: World, failure: Exception) -> None:
        # No plan moves here, and a thousand peers that ask eight times a day would take a minute of real time.
        world.check_seconds = 3 * DAY
        world.start()
        world.add_peers(PEERS, OLDEST)
        world.timeline.run_for(6 * HOUR)
        began, before = world.timeline.seconds(), len(world.ca.orders)
        world.ca.failure = failure
        world.timeline.run_for(OUTAGE)
        self.assertEqual(len(world.ca.orders), before)
        by_day = world.ca.requests_by_day(began, began + OUTAGE)
        # Our client repeats a request that failed four times; it is not in here.
        self.assertLessEqual(by_day[0], 20, by_day)
        self.assertLessEqual(max(by_day[1:]), 4, by_day)
        world.ca.failure = None
        world.ca.orders.clear()
        world.timeline.run_for(3 * DAY)
        self.check_peers(world, began)
        self.check_orders(world)

    def check_peers(self, world: World, began: float) -> None:
        """Nobody was without a certificate who could have had one; those whose time had come are counted."""
        ended = began + OUTAGE
        lost = Counter(_why_lost(peer, ended) for peer in world.peers)
        self.assertEqual(lost["in vain"], 0, lost)
        self.assertGreater(lost["renewed"], PEERS * 0.4, lost)
        self.assertLessEqual(lost["in the outage"], PEERS * 0.05, lost)
        self.assertLessEqual(lost["in the last pause"], PEERS * 0.03, lost)
        self.assertGreater(min(peer.ends for peer in world.peers), world.timeline.seconds())

    def check_orders(self, world: World) -> None:
        """Afterwards they come one by one; the CA has nothing to refuse."""
        self.assertEqual(world.ca.refused, [])
        self.assertGreater(len(world.ca.orders), PEERS * 0.4)
        self.assertLessEqual(world.ca.most_in(60.0), 40)
        self.assertLessEqual(world.ca.most_in(HOUR), 400)

    def test_unreachable(self) -> None:
        """A CA without ARI: 300 orders in three hours are the limit for all that waited."""
        self.outage(World(self), AcmeUnreachable("no route to the CA"))

    def test_out_of_order(self) -> None:
        """A CA with ARI, that says 503 to everything."""
        world = World(self)
        world.ca.window = _in_time
        self.outage(world, AcmeServerTrouble("service unavailable", status=503))


def _in_time(leaf: x509.Certificate) -> RenewalWindow:
    return RenewalWindow(*(leaf.not_valid_before_utc + timedelta(days=day) for day in (60, 62)))


def _why_lost(peer: Peer, ended: float) -> str:
    """What became of the certificate that a peer began with."""
    if any(at <= peer.first_end for at in peer.taken[1:]):
        return "renewed"
    if peer.first_end < ended:
        return "in the outage"
    if peer.first_end < ended + LAST_PAUSE:
        return "in the last pause"
    return "in vain" if peer.first_end < peer.world.timeline.seconds() else "not due"
