"""Clocks that are set: by months, by years, and every ten seconds. RELIABILITY.md, F12."""

from collections.abc import Iterable

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.test_revocation import in_time
from tests.simulation.timeline import DAY, HOUR, Machine
from tests.simulation.world import World

PEERS = 6
YEAR = 365 * DAY
JUMPS = (90 * DAY, -90 * DAY, -10 * YEAR)
LEFT_SECONDS = 8 * DAY
"""Of each certificate that is served, at all times: less than the tenth that is never planned with."""


class ClockTests(SynchronousTestCase):
    """Peers with certificates of 90 days, of all ages at which they are not renewed yet."""

    def start(self) -> World:
        world = World(self)
        world.ca.window = in_time
        world.start()
        world.add_peers(PEERS, 60 * DAY)
        world.timeline.run_for(HOUR)
        return world

    def set_ahead(self, machines: Iterable[Machine], seconds: float) -> None:
        for machine in machines:
            machine.ahead = seconds

    def clients(self, world: World) -> list[Machine]:
        return [peer.machine for peer in world.peers]

    def live(self, world: World, days: int) -> None:
        """Let time pass; nobody may serve a certificate that is about to end."""
        for _ in range(days // 5):
            world.timeline.run_for(5 * DAY)
            self.assertGreater(min(peer.ends for peer in world.peers), world.timeline.seconds() + LEFT_SECONDS)

    def check_orders(self, world: World, most_of_a_peer: int) -> None:
        """What was due, and what a wrong clock may cost."""
        self.assertLessEqual(max(len(peer.taken) - 1 for peer in world.peers), most_of_a_peer)
        self.assertLessEqual(len(world.ca.orders), most_of_a_peer * PEERS)

    def test_a_client_whose_clock_is_behind(self) -> None:
        """For good: it renews in time all the same, by the time that passes."""
        for jump in JUMPS[1:]:
            world = self.start()
            self.set_ahead(self.clients(world), jump)
            self.live(world, 65)
            self.check_orders(world, 2)
            world.stop()

    def test_a_client_whose_clock_is_ahead(self) -> None:
        """For good: every certificate seems to be over; it orders again after an hour, two, four and so on."""
        world = self.start()
        self.set_ahead(self.clients(world), JUMPS[0])
        self.live(world, 65)
        self.check_orders(world, 11)

    def test_a_client_whose_clock_is_put_right(self) -> None:
        """After an hour: that cost one order at most."""
        for jump in JUMPS:
            world = self.start()
            self.set_ahead(self.clients(world), jump)
            world.timeline.run_for(HOUR)
            self.set_ahead(self.clients(world), 0)
            self.live(world, 40)
            self.check_orders(world, 3)
            world.stop()

    def test_an_issue_server_whose_clock_is_wrong(self) -> None:
        """For three days in which it trusts no proof: nothing is ordered, and afterwards all goes on."""
        for jump in JUMPS:
            world = self.start()
            before = len(world.ca.orders)
            world.server.ahead = jump
            world.timeline.run_for(3 * DAY)
            self.assertEqual(len(world.ca.orders), before)
            world.server.ahead = 0
            self.live(world, 40)
            self.check_orders(world, 2)
            world.stop()

    def test_a_site_whose_clocks_are_wrong(self) -> None:
        """All but the CA's, for three days: what it signs is refused as over or not begun, which is not tried often."""
        for jump in JUMPS:
            world = self.start()
            before = len(world.ca.orders)
            self.set_ahead([world.server, world.prover_machine, *self.clients(world)], jump)
            world.timeline.run_for(3 * DAY)
            self.assertLessEqual(len(world.ca.orders) - before, 12)
            self.set_ahead([world.server, world.prover_machine, *self.clients(world)], 0)
            self.live(world, 40)
            self.check_orders(world, 4)
            world.stop()

    def test_every_ten_seconds(self) -> None:
        """For a day, between each jump and the truth, on both sides."""
        world = self.start()
        for number in range(int(DAY / 10)):
            self.set_ahead(self.clients(world), JUMPS[number % 3] if number % 2 else 0)
            world.server.ahead = JUMPS[number // 2 % 3] if number % 5 == 0 else 0
            world.timeline.run_for(10.0)
        self.check_orders(world, 5)
        self.set_ahead([world.server, *self.clients(world)], 0)
        self.live(world, 40)
        self.check_orders(world, 7)
