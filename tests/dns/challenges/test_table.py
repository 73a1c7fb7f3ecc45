"""Challenges: which may be set, and how long the table keeps them."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.challenges import table as challenges
from nodetrust.dns.challenges.table import MAX_VALUES_PER_NAME, Challenge, ChallengeTable, authorize, decide
from nodetrust.dns.errors import ChallengeRefused
from nodetrust.dns.records import parse_name
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import E_NOT_AUTHORIZED, E_OTHER, E_RATE_LIMIT
from tests.dns.example import ORIGIN, PEER, PEER_LABEL

VALUE = "jP5hwrZwCbP_qeeET_qAa9pgG0YulNaR0ivruESzCrE"
NAME = parse_name("ip41-2-3-4.nt.test")


class DecisionTests(SynchronousTestCase):
    """`decide` and `authorize`."""

    def test_admins_only(self) -> None:
        """A peer that the configuration does not list is not authorized."""
        peer = PeerId.parse(PEER)
        authorize(peer, frozenset({peer}))
        error = self.assertRaises(ChallengeRefused, authorize, peer, frozenset())
        self.assertEqual(error.error, E_NOT_AUTHORIZED)

    def test_names_of_ours(self) -> None:
        """Names whose first label is an address or a peer ID may have challenges."""
        for fqdn in (
            "ip41-2-3-4.nt.test",
            "ip6--1.any.thing.nt.test",
            f"{PEER_LABEL}.nt.test",
            f"ip41-2-3-4.{PEER_LABEL}.nt.test",
        ):
            self.assertEqual(decide(ORIGIN, fqdn, VALUE), Challenge(parse_name(fqdn), VALUE.encode()))

    def test_other_names(self) -> None:
        """Everything else is refused with a sentence that says why."""
        for fqdn, reason in [
            ("ip41-2-3-4.example.org", "ip41-2-3-4.example.org is not in zone nt.test"),
            ("ip41-2-3-4.xnt.test", "is not in zone"),
            ("test", "is not in zone"),
            ("nt.test", "its first label is neither an address nor a peer ID"),
            ("www.nt.test", "its first label is neither an address nor a peer ID"),
            ("www.ip41-2-3-4.nt.test", "its first label is neither an address nor a peer ID"),
            ("*.ip41-2-3-4.nt.test", "its first label is neither"),
            ("_acme-challenge.ip41-2-3-4.nt.test", "its first label is neither"),
            ("ip4256-1-1-1.nt.test", "begins like an address or a peer ID and is none"),
            ("ip41-2-3-4.ip4256-1-1-1.nt.test", "begins like"),
            ("IP41-2-3-4.nt.test", "a name is in lower case"),
            ("ip41-2-3-4.nt.test.", "has no dot at its end"),
            ("ip41-2-3-4..nt.test", "not a name"),
            ("", "not a name"),
            (".", "not a name"),
            ("ip41-2-3-4.nt.test\0", "is not in zone"),
            ("ıp41-2-3-4.nt.test", "not a name"),
            ("ip41-2-3-4.nt.test\u200b", "not a name"),
            ("ip41-2-3-4." + "a" * 64 + ".nt.test", "not a name"),
            ("ip41-2-3-4." + "a." * 115 + "nt.test", "too long"),
            ("ip41-2-3-4." + "a." * 1000 + "nt.test", "not a name"),
        ]:
            error = self.assertRaises(ChallengeRefused, decide, ORIGIN, fqdn, VALUE)
            self.assertEqual(error.error, E_OTHER)
            self.assertIn(reason, str(error), fqdn)

    def test_values(self) -> None:
        """A value is the base64url of a SHA-256, and nothing else."""
        for value in ("", VALUE[:-1], VALUE + "A", VALUE + "\n", VALUE[:-1] + "=", VALUE[:-1] + "+", VALUE[:-1] + "é"):
            error = self.assertRaises(ChallengeRefused, decide, ORIGIN, "ip41-2-3-4.nt.test", value)
            self.assertEqual((error.error, str(error)), (E_OTHER, "the value is not 43 characters of base64url"))

    @given(st.text(max_size=80), st.text(max_size=50))
    def test_garbage(self, fqdn: str, value: str) -> None:
        """Any text is refused as a sentence, not as a traceback."""
        self.assertRaises(ChallengeRefused, decide, ORIGIN, fqdn, value)


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
