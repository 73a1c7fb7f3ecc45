"""Challenges: how long the table keeps them."""

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.challenges import table as challenges
from nodetrust.dns.challenges.table import MAX_VALUES_PER_NAME, Challenge, ChallengeTable
from nodetrust.dns.errors import ChallengeRefused
from nodetrust.dns.records import parse_name
from nodetrust.messages import E_RATE_LIMIT
from tests.dns.example import ORIGIN

VALUE = "jP5hwrZwCbP_qeeET_qAa9pgG0YulNaR0ivruESzCrE"
NAME = parse_name("ip41-2-3-4.nt.test")


class TableTests(SynchronousTestCase):
    """`ChallengeTable`."""

    def values(self, table: ChallengeTable, now: float) -> list[bytes]:
        return [value for value, _ in table.values(NAME, now)]

    def test_added_again(self) -> None:
        """The same value again begins its life again and counts once."""
        table = ChallengeTable(100)
        for value, now in ((b"a", 0), (b"b", 10), (b"a", 50)):
            table.add(Challenge(NAME, value), now)
        self.assertEqual((len(table), self.values(table, 50)), (2, [b"a", b"b"]))
        self.assertEqual(self.values(table, 110), [b"a"])
        self.assertEqual(self.values(table, 150), [])

    def test_removed(self) -> None:
        """A value that is removed is gone at once; one that is not there is no error."""
        table = ChallengeTable()
        table.add(Challenge(NAME, b"a"), 0)
        table.add(Challenge(NAME, b"b"), 0)
        table.remove(Challenge(NAME, b"a"))
        table.remove(Challenge(NAME, b"a"))
        self.assertEqual(self.values(table, 0), [b"b"])

    def test_limit_of_a_name(self) -> None:
        """A name has eight values; another is refused until one has ended, a known one is not."""
        table = ChallengeTable(100)
        for number in range(MAX_VALUES_PER_NAME):
            table.add(Challenge(NAME, b"%d" % number), number)
        error = self.assertRaises(ChallengeRefused, table.add, Challenge(NAME, b"more"), 50)
        self.assertEqual((error.error, str(error)), (E_RATE_LIMIT, "ip41-2-3-4.nt.test has 8 values already"))
        table.add(Challenge(NAME, b"7"), 50)
        table.add(Challenge(NAME, b"more"), 100)
        self.assertEqual(len(table), MAX_VALUES_PER_NAME)

    def test_limit_of_the_table(self) -> None:
        """A full table refuses, and takes again what fits when others have ended."""
        self.patch(challenges, "MAX_VALUES", 3)
        table = ChallengeTable(100)
        for number in range(3):
            table.add(Challenge((b"%d" % number, *ORIGIN), b"v"), number)
        error = self.assertRaises(ChallengeRefused, table.add, Challenge(NAME, b"v"), 99)
        self.assertEqual(error.error, E_RATE_LIMIT)
        table.add(Challenge(NAME, b"v"), 101)
        self.assertEqual(len(table), 2)

    def test_nothing_is_left(self) -> None:
        """What has ended takes no memory."""
        table = ChallengeTable(100)
        for number in range(50):
            table.add(Challenge((b"%d" % (number % 20), *ORIGIN), b"%d" % number), number)
        table.expire(1000)
        self.assertEqual((len(table), table._values), (0, {}))

    def test_life_is_bounded(self) -> None:
        """A life of nothing or of more than an hour is refused."""
        for seconds in (0, -1, 3601):
            self.assertRaises(ValueError, ChallengeTable, seconds)
