"""How often an address is dialled for strangers, on a clock of the tests'."""

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.broker import targets
from nodetrust.broker.targets import DIALS_PER_48, DIALS_PER_ADDRESS, PERIOD_SECONDS, Targets

NOW = 1_000_000.0
ASKER = "45.1.1.1"


class TargetTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.targets = Targets()

    def draw(self, target: str, asker: str = ASKER, now: float = NOW) -> float:
        return self.targets.draw(ip_address(target), ip_address(asker), now)

    def use_up(self, target: str, now: float = NOW) -> int:
        """Dial until it may not be dialled any more, each time for another asker; how often it was."""
        dials = 0
        while not self.draw(target, f"45.2.{dials // 250}.{dials % 250}", now):
            dials += 1
        return dials

    def test_an_address(self) -> None:
        """So often in a period, whoever asks; then it is told when, and then it is so. Its neighbour is none of it."""
        self.assertEqual(self.use_up("8.8.8.8"), DIALS_PER_ADDRESS)
        wait = self.draw("8.8.8.8")
        self.assertAlmostEqual(wait, PERIOD_SECONDS / DIALS_PER_ADDRESS)
        self.assertEqual(self.draw("8.8.8.9"), 0)
        self.assertEqual(self.use_up("8.8.8.8", NOW + wait), 1)
        self.assertEqual(self.use_up("8.8.8.8", NOW + wait + PERIOD_SECONDS), DIALS_PER_ADDRESS)

    def test_a_64(self) -> None:
        """All addresses of an IPv6 /64 are one; those of a /48 have more together, but not as much as each."""
        self.assertEqual(self.use_up("2606:4700::1"), DIALS_PER_ADDRESS)
        self.assertGreater(self.draw("2606:4700::ffff:0:0:2"), 0)
        dialled = sum(self.use_up(f"2606:4700:0:{number:x}::1") for number in range(1, 256))
        self.assertEqual(dialled, DIALS_PER_48 - DIALS_PER_ADDRESS)
        self.assertEqual(self.draw("2606:4700:1::1"), 0)

    def test_what_is_refused_costs_nothing(self) -> None:
        """A /64 that is refused draws nothing of its /48."""
        self.use_up("2606:4700::1")
        for _ in range(1000):
            self.assertGreater(self.draw("2606:4700::1"), 0)
        self.assertEqual(self.use_up("2606:4700:0:1::1"), DIALS_PER_ADDRESS)

    def test_the_askers_own(self) -> None:
        """Who asks from there is dialled, however often strangers had that done, and takes nothing from them."""
        self.use_up("8.8.8.8")
        self.use_up("2606:4700::1")
        for _ in range(1000):
            self.assertEqual(self.draw("8.8.8.8", "8.8.8.8"), 0)
            self.assertEqual(self.draw("2606:4700::1", "2606:4700::2"), 0)
            self.assertEqual(self.draw("8.8.8.9", "8.8.8.9"), 0)
        self.assertEqual(self.use_up("8.8.8.9"), DIALS_PER_ADDRESS)
        self.assertGreater(self.draw("2606:4700::1", "2606:4700:0:1::1"), 0)

    def test_who_is_met(self) -> None:
        """A node that is met costs nothing, in none of the buckets: many behind one address are dialled as often."""
        for target in ("8.8.8.8", "2606:4700::1"):
            for _ in range(2 * DIALS_PER_48):
                self.assertEqual(self.draw(target), 0)
                self.targets.met(ip_address(target), ip_address(ASKER), NOW)
            self.assertEqual(self.use_up(target), DIALS_PER_ADDRESS)

    def test_memory(self) -> None:
        """What is remembered of very many is bounded, and who was dialled most is remembered longest."""
        self.patch(targets, "MAX_BUCKETS", 100)
        self.targets = Targets()
        self.use_up("8.8.8.8")
        for number in range(10_000):
            self.draw(f"9.8.{number // 250}.{number % 250}", now=NOW + number / 1000)
            self.assertLessEqual(len(self.targets._buckets), 100)
        self.assertGreater(self.draw("8.8.8.8", now=NOW + 10), 0)
