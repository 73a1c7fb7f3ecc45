"""How long a CA that failed is left alone."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.issue.authorities.pauses import LONGEST_SECONDS, STEPS_SECONDS, Pause, next_pause

NOW = 1_800_000_000.0


class PauseTests(SynchronousTestCase):
    """Failures in a row, and clocks."""

    def test_longer_each_time(self) -> None:
        """Each failure in a row is the next step, and the last step stays."""
        pause, now = None, NOW
        for step in (*STEPS_SECONDS, STEPS_SECONDS[-1]):
            pause = next_pause(pause, now, now, "down")
            self.assertEqual(pause.seconds_left(now), step)
            now += step
            self.assertEqual(pause.seconds_left(now), 0)
            now += 1

    def test_side_by_side(self) -> None:
        """What began before the last failure was noted is the same failure."""
        first = next_pause(None, NOW, NOW + 5, "down")
        self.assertEqual(next_pause(first, NOW, NOW + 6, "down").failures, 1)
        self.assertEqual(next_pause(first, NOW + 6, NOW + 7, "down").failures, 2)

    def test_clock_that_was_set_back(self) -> None:
        """A pause from a wrong future does not last until then."""
        pause = Pause(1, NOW + 90 * 86400, NOW + 90 * 86400, "down")
        self.assertEqual(pause.seconds_left(NOW), 0)
        self.assertGreater(Pause(4, NOW + LONGEST_SECONDS, NOW, "down").seconds_left(NOW - 60), LONGEST_SECONDS)
