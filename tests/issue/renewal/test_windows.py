"""The issue server asks the CAs when to renew what is in its store, on a clock of its own."""

from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.acme import AcmeOrderLost, AcmeUnreachable, RenewalInfo
from nodetrust.acme.wire import RenewalWindow
from nodetrust.issue.renewal.haste import Haste, tell
from nodetrust.issue.renewal.plan import PEERS_ASK_SECONDS
from nodetrust.issue.renewal.windows import ASKS_PER_SECOND, Windows
from nodetrust.quotas import Limit
from nodetrust.store import StoredCertificate, StoreError
from tests.store.examples import CA, certificate

HOUR = 3600.0
OTHER_CA = "https://other.example/dir"


class FakeStore:
    """Certificates by number."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.failure: Exception | None = None

    def add(self, number: int, **changes: Any) -> None:
        for _ in range(number):
            fields = {"not_before": time(0), "not_after": time(90 * 24 * HOUR), "directory_url": CA}
            self.rows.append({**fields, **changes, "id": len(self.rows)})

    def __getitem__(self, number: int) -> StoredCertificate:
        return certificate(**self.rows[number])

    async def certificates_to_check(self, checked_before: datetime, most: int) -> list[StoredCertificate]:
        if self.failure is not None:
            raise self.failure
        found = [row for row in self.rows if row.get("ari_checked_at", time(-1e9)) < checked_before]
        return [certificate(**row) for row in found[:most]]

    async def save_renewal(self, id: int, renew_at: datetime | None, checked_at: datetime) -> None:
        self.rows[id].update({"ari_checked_at": checked_at} | ({} if renew_at is None else {"renew_at": renew_at}))

    async def check_again(self, checked_after: datetime) -> int:
        for row in self.rows:
            if row.get("ari_checked_at", checked_after) > checked_after:
                row["ari_checked_at"] = time(-1e9)
        return 0

    async def count_due_early(self, now: datetime) -> tuple[int, int]:
        due = [row for row in self.rows if row.get("renew_at") is not None and row["renew_at"] <= now]
        return len(due), len(self.rows)


class FakeCa:
    """A CA that says `answer` to everything; both Authority and its client."""

    reason = "it is left alone"

    def __init__(self, clock: Clock, directory_url: str) -> None:
        self.directory_url = directory_url
        self.asked: list[float] = []
        self.answer: Any = None
        self.wait = 0.0
        self.client = self
        self._clock = clock

    def seconds_to_wait(self, now: float) -> float:
        return self.wait

    async def renewal_window(self, certificate_pem: bytes, deadline: Any) -> RenewalInfo | None:
        self.asked.append(self._clock.seconds())
        if isinstance(self.answer, Exception):
            raise self.answer
        answer: RenewalInfo | None = self.answer
        return answer


def time(seconds: float) -> datetime:
    """On the clock of the tests."""
    return datetime.fromtimestamp(1e9 + seconds, UTC)


def info(first_hour: float, last_hour: float, retry_after: float = 6 * HOUR) -> RenewalInfo:
    """A window."""
    return RenewalInfo(RenewalWindow(time(first_hour * HOUR), time(last_hour * HOUR)), retry_after)


class WindowsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1e9)
        self.store = FakeStore()
        self.ca = FakeCa(self.clock, CA)
        self.other = FakeCa(self.clock, OTHER_CA)
        windows = Windows(self.clock, self.store, [self.ca, self.other], lambda: 0.5)
        self.begin = lambda: Deferred.fromCoroutine(windows.run())

    def run_for(self, hours: float, step: float = 20.0) -> None:
        running = self.begin()
        self.clock.pump([step] * round(hours * HOUR / step))
        self.assertNoResult(running)
        running.cancel()
        self.failureResultOf(running, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_ca_decides(self) -> None:
        """A moment in its window is chosen, and kept while the window says the same."""
        self.store.add(1)
        self.ca.answer = info(1000, 1002)
        self.run_for(1)
        self.assertEqual(self.store[0].renew_at, time(1001 * HOUR))
        self.ca.answer = info(1000, 1010)
        self.run_for(7)
        self.assertEqual((self.store[0].renew_at, len(self.ca.asked)), (time(1001 * HOUR), 2))
        self.ca.answer = info(-3, -1)
        self.run_for(7)
        self.assertEqual(self.store[0].renew_at, time(0))  # the start of its life, which is in the past

    def test_a_ca_without_ari(self) -> None:
        """It has said nothing, and there is nothing to ask it today."""
        self.store.add(1)
        self.run_for(20)
        self.assertIsNone(self.store[0].renew_at)
        self.assertEqual(len(self.ca.asked), 1)

    def test_at_the_cas_pace(self) -> None:
        """Retry-After says when to ask again."""
        self.store.add(1)
        for seconds in (600.0, 12 * HOUR):
            self.ca.answer = info(1000, 1002, seconds)
            self.run_for(25, 60.0)
        gaps = [after - before for before, after in zip(self.ca.asked, self.ca.asked[1:], strict=False)]
        self.assertTrue(all(600 <= gap <= 900 for gap in gaps[:100]), gaps)
        self.assertTrue(all(12 * HOUR <= gap <= 12.2 * HOUR for gap in gaps[-1:]), gaps)

    def test_not_too_many_at_once(self) -> None:
        """A thousand certificates are asked for one after the other."""
        self.store.add(1000)
        self.ca.answer = info(1000, 1002)
        self.run_for(1000 / ASKS_PER_SECOND / HOUR + 0.01, 0.25)
        self.assertEqual(len(self.ca.asked), 1000)
        self.assertLessEqual(max(self.ca.asked.count(at) for at in self.ca.asked), 1)

    def test_a_ca_that_is_down(self) -> None:
        """It is asked a few times a day, whatever the number of certificates; another CA is asked meanwhile."""
        self.store.add(300)
        self.store.add(5, directory_url=OTHER_CA)
        self.ca.answer, self.other.answer = AcmeUnreachable("no route"), info(1000, 1002)
        self.run_for(24, 60.0)
        self.assertLessEqual(len(self.ca.asked), 9)
        self.assertGreaterEqual(len(self.other.asked), 15)
        self.ca.answer = info(1000, 1002)
        self.run_for(25, 60.0)
        self.assertEqual(self.store[299].renew_at, time(1001 * HOUR))

    def test_a_ca_that_is_left_alone(self) -> None:
        """It is not asked, as long as orders are not placed there either."""
        self.store.add(1)
        self.ca.wait = 60.0
        self.run_for(5)
        self.assertEqual(self.ca.asked, [])
        self.ca.wait = 0.0
        self.run_for(6)
        self.assertEqual(len(self.ca.asked), 1)

    def test_a_certificate_that_nobody_knows(self) -> None:
        """Nor its CA: the plan that it has stays."""
        self.store.add(1, renew_at=time(500 * HOUR))
        self.store.add(1, renew_at=time(500 * HOUR), directory_url="https://gone.example/dir")
        self.ca.answer = AcmeOrderLost("no such certificate")
        self.run_for(10)
        self.assertEqual([self.store[n].renew_at for n in (0, 1)], [time(500 * HOUR)] * 2)
        self.assertEqual(len(self.ca.asked), 1)

    def test_a_clock_that_is_set(self) -> None:
        """By years, back and forth: the questions go on, a few a second at most."""
        self.store.add(2)
        self.ca.answer = info(1000, 1002)
        for years in (0, 10, -10, 0.25, -0.25):
            self.clock.rightNow += years * 365 * 86400
            before = len(self.ca.asked)
            self.run_for(8)
            self.assertIn(len(self.ca.asked) - before, (2, 4), years)

    def test_a_store_that_is_away(self) -> None:
        """It is said, and tried again."""
        self.store.add(1)
        self.store.failure = StoreError("the disk is gone")
        with capturedLogs() as logged:
            self.run_for(0.1)
        self.assertIn("the disk is gone", formatEvent(logged[0]))
        self.store.failure = None
        self.run_for(0.1)
        self.assertEqual(len(self.ca.asked), 1)

    def test_a_revocation(self) -> None:
        """The operator is told how many, of the whole and not only of those that were asked about, and how long."""
        self.store.add(10_000)
        self.ca.answer = info(-3, -1)
        with capturedLogs() as logged:
            self.run_for(0.5, 0.5)
        said = [formatEvent(event) for event in logged]
        self.assertEqual(
            said,
            [
                "100 certificates are due by the CA's word, 10,000 are to be expected: about 11 hours, as fast as the "
                "CA says which, and the peers ask"
            ],
        )


class HasteTests(SynchronousTestCase):
    """What is expected of those that the CA was not asked about."""

    def test_a_few_are_daily_business(self) -> None:
        """Ninety-nine are; so are a hundred in two rounds."""
        haste = Haste()
        for number in range(99):
            haste.asked(float(number), early=True)
        self.assertFalse(haste.is_many(99.0))
        haste.asked(30_000.0, early=True)
        self.assertFalse(haste.is_many(30_000.0))

    def test_a_share(self) -> None:
        """Half of those asked about, so half of all."""
        haste = Haste()
        for number in range(400):
            haste.asked(float(number), early=number % 2 == 0)
        outlook = haste.outlook(200, 2400, [], 3600.0)
        self.assertEqual((outlook.due, outlook.expected), (200, 1200))
        self.assertEqual(outlook.estimate.seconds, 6.5 * HOUR + PEERS_ASK_SECONDS)

    def test_limits(self) -> None:
        """They are named, with their pace."""
        haste = Haste()
        for number in range(10_000):
            haste.asked(float(number), early=True)
        outlook = haste.outlook(10_000, 10_000, [Limit("ca/orders", 300, 3 * HOUR)], 1e4)
        self.assertEqual(
            tell(outlook),
            "10,000 certificates are due by the CA's word: about 97 hours, at the limits of 300 in 3 h (ca/orders)",
        )
