"""What is remembered, and for how long."""

import dns.edns
import dns.flags
import dns.message
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.dnssec.cache import ANSWERS_SECONDS, Recent, RecentAnswers


class RecentTests(SynchronousTestCase):
    """`Recent`."""

    def test_bounded(self) -> None:
        """However much is kept, no more than the size stays, and it is what came last."""
        recent: Recent[int] = Recent(10)
        for number in range(1000):
            recent.keep(b"%d" % number, number)
            self.assertLessEqual(len(recent), 10)
        self.assertEqual([recent.get(b"%d" % number) for number in range(995, 1000)], list(range(995, 1000)))
        self.assertIsNone(recent.get(b"980"))

    def test_what_is_used_stays(self) -> None:
        """A value that is asked for now and then outlives those that are not, and hits take no room either."""
        recent: Recent[int] = Recent(10)
        recent.keep(b"used", 1)
        for number in range(100):
            recent.keep(b"%d" % number, number)
            if number % 3 == 0:
                self.assertEqual(recent.get(b"used"), 1)
            self.assertLessEqual(len(recent), 10)
        recent.clear()
        self.assertEqual((recent.get(b"used"), len(recent)), (None, 0))


def packet(name: str = "ip41-2-3-4.nt.test", type_: str = "A", *, id_: int = 7, **options: object) -> bytes:
    """A query with DO."""
    query = dns.message.make_query(name, type_, **{"use_edns": 0, "ednsflags": dns.flags.DO, **options})
    query.id = id_
    return query.to_wire()


RESPONSE = b"\0\7\x84\0\0\1\0\1\0\0\0\1" + packet()[12:-11] + b"the rest"


class RecentAnswersTests(SynchronousTestCase):
    """`RecentAnswers`."""

    def setUp(self) -> None:
        self.answers = RecentAnswers(size=10)
        self.assertIsNone(self.answers.find(packet(), 100.0))
        self.answers.keep(packet(), RESPONSE)

    def test_same_question(self) -> None:
        """The answer has the ID and the case of the query that it goes to."""
        again = packet("IP41-2-3-4.NT.test", id_=0x1234)
        found = self.answers.find(again, 101.0)
        self.assertEqual(found, b"\x12\x34" + RESPONSE[2:12] + again[12:-11] + b"the rest")

    def test_another_question(self) -> None:
        """Whatever an answer depends on makes another question of it; types that differ as letters do are two."""
        self.answers.keep(packet(type_="TYPE65"), RESPONSE)
        for other in (
            packet("ip41-2-3-5.nt.test"),
            packet(type_="AAAA"),
            packet(type_="TYPE97"),
            packet(payload=1231),
            packet(ednsflags=dns.flags.DO | 0x4000),
            packet(flags=dns.flags.CD),
            packet(use_edns=1),
        ):
            self.assertIsNone(self.answers.find(other, 101.0))

    def test_only_plain_queries(self) -> None:
        """Options, a missing DO or OPT, another count and scraps are nobody's question, and are not kept."""
        option = dns.edns.GenericOption(10, b"12345678")
        for other in (
            packet(options=[option]),
            packet(ednsflags=0),
            packet(use_edns=-1),
            packet()[:5] + b"\2" + packet()[6:],
            packet()[:20],
            b"",
        ):
            self.answers.keep(other, bytes(100))
            self.assertIsNone(self.answers.find(other, 101.0))

    def test_only_what_fits_everywhere(self) -> None:
        """What is truncated, or larger than the smallest datagram, is good for one asker alone."""
        answers = RecentAnswers()
        self.assertIsNone(answers.find(packet(), 100.0))
        for response in (RESPONSE[:2] + b"\x86" + RESPONSE[3:], RESPONSE + bytes(513 - len(RESPONSE))):
            answers.keep(packet(), response)
            self.assertIsNone(answers.find(packet(), 101.0))
        answers.keep(packet(), RESPONSE + bytes(512 - len(RESPONSE)))
        self.assertIsNotNone(answers.find(packet(), 101.0))

    def test_forgotten(self) -> None:
        """After a few seconds each answer is decided anew."""
        self.assertIsNotNone(self.answers.find(packet(), 100.0 + ANSWERS_SECONDS - 0.1))
        self.assertIsNone(self.answers.find(packet(), 100.0 + ANSWERS_SECONDS))
        self.assertIsNone(self.answers.find(packet(), 100.0 + ANSWERS_SECONDS + 0.1))
