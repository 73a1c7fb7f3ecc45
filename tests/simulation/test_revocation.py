"""A CA revokes: the windows of thousands of certificates are in the past at once."""

import os
import re
from datetime import timedelta
from typing import Any

from cryptography import x509
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from nodetrust.acme.wire import RenewalWindow
from tests.simulation.ca import SimulatedCa
from tests.simulation.timeline import DAY, HOUR, Timeline
from tests.simulation.world import World

PEERS = 10_000 if os.environ.get("NODETRUST_SIMULATION") == "full" else 2000
"""Ten thousand take two minutes of a processor, and so are left to those who ask for them."""

FACTOR = 1.5
"""By which an estimate may be wrong."""


def in_time(leaf: x509.Certificate) -> RenewalWindow:
    """What Let's Encrypt says of certificates that are good."""
    return RenewalWindow(*(leaf.not_valid_before_utc + timedelta(days=day) for day in (60, 62)))


def revoke(ca: SimulatedCa) -> None:
    """Have all certificates of before replaced at once."""
    now = ca.timeline.seconds()

    def window(leaf: x509.Certificate) -> RenewalWindow:
        began = leaf.not_valid_before_utc
        at_once = RenewalWindow(began - timedelta(hours=2), began - timedelta(hours=1))
        return at_once if began.timestamp() < now else in_time(leaf)

    ca.window = window


@implementer(ILogObserver)
class Estimates:
    """Those that the operator is told: when, and how long it is said to take, in seconds."""

    def __init__(self, timeline: Timeline) -> None:
        self.found: list[tuple[float, float]] = []
        self._timeline = timeline

    def __call__(self, event: Any) -> None:
        found = re.search(r"due by the CA's word.*: about (\d+) hours", formatEvent(event) or "")
        if found:
            self.found.append((self._timeline.seconds(), int(found[1]) * HOUR))


class RevocationTests(SynchronousTestCase):
    def renew_all(self, world: World, peers: int) -> Estimates:
        """Run until all have another certificate; they have a day."""
        world.ca.window = in_time
        world.start()
        world.add_peers(peers, 30 * DAY)
        began = world.timeline.seconds()
        revoke(world.ca)
        told = Estimates(world.timeline)
        globalLogPublisher.addObserver(told)
        self.addCleanup(globalLogPublisher.removeObserver, told)
        while len(world.ca.orders) < peers and world.timeline.seconds() < began + DAY:
            world.timeline.run_for(0.25 * HOUR)
        world.timeline.run_for(60.0)  # for the answer to the last of them
        self.assertEqual(len(world.ca.orders), peers)
        self.assertEqual(sum(peer.ends > peer.first_end for peer in world.peers), peers)
        return told

    def check(self, told: Estimates, world: World) -> None:
        """The first estimate, made when the server had heard of a hundred, was right."""
        at, seconds = told.found[0]
        took = world.ca.orders[-1][0] - at
        self.assertTrue(took / FACTOR <= seconds <= took * FACTOR, (took / HOUR, told.found))

    def test_renewals_that_count_for_nothing(self) -> None:
        """As with Let's Encrypt: all of them in a day, in no crowd, and as fast as was said."""
        world = World(self)
        told = self.renew_all(world, PEERS)
        self.check(told, world)
        self.assertEqual(world.ca.most_in(DAY, exempt=False), 0)
        self.assertLess(world.ca.most_in(60.0), PEERS / 60)

    def test_renewals_that_count(self) -> None:
        """A CA that counts them, and says so when its limit is reached, is asked at its own pace."""
        world = World(self)
        world.ca.exempts = False
        told = self.renew_all(world, 1000)
        self.check(told, world)
        self.assertLessEqual(world.ca.most_in(3 * HOUR), 600)  # a full bucket of 300, and what comes in meanwhile
        self.assertLess(len(world.ca.refused), 500)
