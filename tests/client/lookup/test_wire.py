"""Questions and replies against dnspython, and against garbage."""

import contextlib
from ipaddress import ip_address

import dns.message
import dns.rrset
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.lookup.errors import InvalidReply
from nodetrust.client.lookup.wire import Question, Reply, Type, read_reply, write_query

NAME = "ip41-2-3-4.nt.example.org"
QUESTION = Question(NAME, Type.A)
ID = 4711


def reply(*lines: str, question: Question = QUESTION, code: str = "NOERROR", flags: str = "QR AA") -> bytes:
    """A message of dnspython; each line is a record of the answer section."""
    records = "\n".join(lines)
    return dns.message.from_text(
        f"id {ID}\nopcode QUERY\nrcode {code}\nflags {flags}\n"
        f";QUESTION\n{question.name}. IN {question.type.name}\n;ANSWER\n{records}\n"
    ).to_wire()


class QueryTests(SynchronousTestCase):
    """What is sent."""

    def test_of_every_type(self) -> None:
        """dnspython reads the question, and whether recursion is wanted."""
        for type_ in Type:
            for recurse in (False, True):
                message = dns.message.from_wire(write_query(Question(NAME, type_), ID, recurse=recurse))
                (asked,) = message.question
                self.assertEqual((str(asked.name), asked.rdtype, message.id), (f"{NAME}.", int(type_), ID))
                self.assertEqual(bool(message.flags & dns.flags.RD), recurse)


class ReplyTests(SynchronousTestCase):
    """What comes back."""

    def one(self, line: str, type_: Type) -> object:
        """The value of the one record of an answer."""
        question = Question(NAME, type_)
        (record,) = read_reply(reply(f"{NAME}. 300 IN {line}", question=question), question, ID).of(type_)
        self.assertEqual((record.name, record.ttl_seconds), (NAME, 300))
        return record.value

    def test_values(self) -> None:
        """Each type in the form in which it is compared."""
        for line, type_, value in (
            ("A 1.2.3.4", Type.A, ip_address("1.2.3.4")),
            ("AAAA 2001:db8::1", Type.AAAA, ip_address("2001:db8::1")),
            ("NS NS.Example.org.", Type.NS, "ns.example.org"),
            ("CNAME other.example.", Type.CNAME, "other.example"),
            ("SOA ns. host. 2026112900 1 2 3 4", Type.SOA, 2026112900),
            ('TXT "id=" "abc"', Type.TXT, "id=abc"),
            ('CAA 128 issue ";"', Type.CAA, b"\x80\x05issue;"),
        ):
            self.assertEqual(self.one(line, type_), value)

    def test_flags_and_codes(self) -> None:
        """Authority, truncation, and the code by its name."""
        told = read_reply(reply(code="NXDOMAIN", flags="QR TC"), QUESTION, ID)
        self.assertEqual((told.authoritative, told.truncated, told.code_name), (False, True, "NXDOMAIN"))
        self.assertTrue(read_reply(reply(), QUESTION, ID).authoritative)

    def test_another_answer(self) -> None:
        """An answer to another question, with another number, or a query is refused; the case of names is nothing."""
        good = reply()
        self.assertEqual(read_reply(good.replace(b"nt", b"Nt"), QUESTION, ID).code, 0)
        for data, number in (
            (reply(question=Question("other.example", Type.A)), ID),
            (reply(question=Question(NAME, Type.AAAA)), ID),
            (good, ID + 1),
            (write_query(QUESTION, ID, recurse=False), ID),
        ):
            self.assertRaises(InvalidReply, read_reply, data, QUESTION, number)

    @given(st.binary(max_size=80), st.integers(0, 200))
    def test_garbage(self, garbage: bytes, at: int) -> None:
        """Whatever a server sends is a reply or refused."""
        whole = reply(f"{NAME}. 300 IN A 1.2.3.4", f"{NAME}. 300 IN NS a.example.")
        for data in (garbage, whole[:at] + garbage, whole[:at] + garbage + whole[at + len(garbage) :]):
            with contextlib.suppress(InvalidReply):
                self.assertIsInstance(read_reply(data, QUESTION, ID), Reply)
