"""Looks from outside, by a clock."""

from collections.abc import Sequence
from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.reach import FIRST_LOOK_AGAIN_SECONDS, LOOK_SECONDS, SPREAD
from nodetrust.client.reaching import Finding, Reaching
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.multiaddr import Multiaddr

FOUR, SIX = (Multiaddr.parse(f"/{name}/tcp/4443/tls/ws") for name in ("dns4/a.example", "dns6/a.example"))


class ReachingTests(SynchronousTestCase):
    """Somebody outside who reaches `self.open`, or is not there."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.open: set[Multiaddr] = {FOUR, SIX}
        self.error: Exception | None = None
        self.looks = 0
        self.waiting: Deferred[None] | None = None
        self.announced: list[tuple[Multiaddr, ...]] = []
        self.reaching = Reaching(self.clock, Random(1), self.look, self.announced.append)

    async def look(self, addresses: Sequence[Multiaddr]) -> list[Finding]:
        self.looks += 1
        if self.waiting is not None:
            await self.waiting
        if self.error is not None:
            raise self.error
        return [Finding(one, one in self.open, "open the port") for one in addresses]

    def test_announces_what_was_reached(self) -> None:
        """And says of the rest what to do, once."""
        self.open.remove(SIX)
        with capturedLogs() as logged:
            self.reaching.consider([FOUR, SIX])
            self.clock.advance(FIRST_LOOK_AGAIN_SECONDS * (1 + SPREAD))
        self.assertEqual((self.looks, self.announced), (2, [(FOUR,)]))
        warnings = [formatEvent(event) for event in logged if event["log_level"] is LogLevel.warn]
        self.assertEqual(warnings, ["not announced, since nobody can dial it: open the port"])

    def test_looks_again_when_it_is_told(self) -> None:
        """And not at addresses that it knows, else."""
        self.reaching.consider([FOUR])
        self.reaching.consider([FOUR])
        self.assertEqual(self.looks, 1)
        self.reaching.look_again()
        self.assertEqual((self.looks, self.announced), (2, [(FOUR,)]))
        self.clock.advance(LOOK_SECONDS * (1 + SPREAD))
        self.assertEqual(self.looks, 3)

    def test_nobody_there(self) -> None:
        """All are announced until somebody looks."""
        self.error = NodetrustError("too old")
        self.reaching.consider([FOUR, SIX])
        self.assertEqual(self.announced, [(FOUR, SIX)])
        self.error = None
        self.open = {SIX}
        self.clock.advance(FIRST_LOOK_AGAIN_SECONDS * (1 + SPREAD))
        self.assertEqual(self.announced[-1], (SIX,))

    def test_without_looks(self) -> None:
        """Everything is announced at once."""
        blind = Reaching(self.clock, Random(1), None, self.announced.append)
        blind.consider([FOUR])
        self.assertEqual((self.announced, self.clock.getDelayedCalls()), ([(FOUR,)], []))

    def test_no_candidates(self) -> None:
        """Nothing is announced, and nobody looks."""
        self.reaching.consider([FOUR])
        self.reaching.consider([])
        self.assertEqual(self.announced, [(FOUR,), ()])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_bug_ends_nothing(self) -> None:
        """It is logged, and the next look comes."""
        self.error = ZeroDivisionError()
        self.reaching.consider([FOUR])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.error = None
        self.clock.advance(LOOK_SECONDS * (1 + SPREAD))
        self.assertEqual(self.announced, [(FOUR,)])

    def test_stops_in_the_middle(self) -> None:
        """The look under way is cancelled; nothing waits."""
        self.waiting = Deferred()
        self.reaching.consider([FOUR])
        self.reaching.stop()
        self.assertEqual((self.clock.getDelayedCalls(), self.announced), ([], []))
