"""Bytes of queries and responses: the strict reader, and what a response may not exceed."""

import struct
from typing import ClassVar

import dns.edns
import dns.flags
import dns.message
import dns.rdata
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.answer import Authority
from nodetrust.dns.errors import BadQuery, NotAQuery
from nodetrust.dns.records import RRset, Type, name_from_wire, name_to_wire, soa_around
from nodetrust.dns.respond import Responder, respond
from nodetrust.dns.wire import HEADER, Answer, read_query, write_refusal, write_response
from nodetrust.dns.zone.zonefile import parse_zone
from tests.dns.example import ORIGIN, ask, authority

WORLD = authority()
QUESTION = b"\x0aip41-2-3-4\x02nt\x04test\0\0\1\0\1"
COOKIE = b"\0\x0c\0\x0a\0\x08clientck"
TSIG = b"\1k\0\0\xfa\0\xff\0\0\0\0\0\x13\1a\0" + bytes(16)
OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"


def packet(rest: bytes = QUESTION, flags: int = 0x0100, counts: tuple[int, int, int, int] = (1, 0, 0, 0)) -> bytes:
    """A message with ID 0x1234."""
    return HEADER.pack(0x1234, flags, *counts) + rest


def outcome(message: bytes) -> int | str:
    """The response code that a message gets; "drop" for none at all."""
    response = Responder(WORLD, lambda: 0.0).respond(message, udp=True)
    return "drop" if response is None else dns.message.from_wire(response).rcode()


class OddPacketTests(SynchronousTestCase):
    """The packets on which name servers differ. Ours does as Knot, but says FORMERR where Knot drops a bad question."""

    ROWS: ClassVar = [
        ("plain", packet(), 0),
        ("EDNS", packet(QUESTION + OPT, counts=(1, 0, 0, 1)), 0),
        ("EDNS version 1", packet(QUESTION + b"\0\0\x29\x04\xd0\0\1\0\0\0\0", counts=(1, 0, 0, 1)), 16),
        ("unknown option", packet(QUESTION + OPT[:-2] + b"\0\6\xfd\xe9\0\2hi", counts=(1, 0, 0, 1)), 0),
        ("MBZ flags", packet(QUESTION + b"\0\0\x29\x04\xd0\0\0\x7f\xff\0\0", counts=(1, 0, 0, 1)), 0),
        ("option cut short", packet(QUESTION + OPT[:-2] + b"\0\6\xfd\xe9\0\3hi", counts=(1, 0, 0, 1)), 1),
        ("half an option", packet(QUESTION + OPT[:-2] + b"\0\2\xfd\xe9", counts=(1, 0, 0, 1)), 1),
        ("two OPT", packet(QUESTION + OPT + OPT, counts=(1, 0, 0, 2)), 1),
        ("OPT with an owner", packet(QUESTION + b"\1x" + OPT, counts=(1, 0, 0, 1)), 1),
        ("three additional records", packet(QUESTION + OPT, counts=(1, 0, 0, 3)), 1),
        ("unknown additional record", packet(QUESTION + b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4abcd", counts=(1, 0, 0, 1)), 0),
        (
            "additional record with a bad owner",
            packet(QUESTION + b"\x41a\0\0\1\0\1\0\0\0\0\0\0", counts=(1, 0, 0, 1)),
            1,
        ),
        ("TSIG, empty", packet(QUESTION + b"\1k\0\0\xfa\0\xff\0\0\0\0\0\0", counts=(1, 0, 0, 1)), 1),
        ("TSIG", packet(QUESTION + TSIG, counts=(1, 0, 0, 1)), 9),
        ("TSIG before OPT", packet(QUESTION + TSIG + OPT, counts=(1, 0, 0, 2)), 1),
        ("TSIG with a MAC that is too long", packet(QUESTION + TSIG[:-7] + b"\1" + TSIG[-6:], counts=(1, 0, 0, 1)), 1),
        ("additional owner ahead", packet(QUESTION + b"\xc0\x24\0\1\0\1" + bytes(6), counts=(1, 0, 0, 1)), 1),
        ("response", packet(flags=0x8000), "drop"),
        ("response with a bad opcode", packet(flags=0xF800), "drop"),
        ("opcode IQUERY", packet(flags=0x0800), 4),
        ("opcode STATUS", packet(flags=0x1000), 4),
        ("opcode NOTIFY", packet(flags=0x2000), 9),
        ("opcode UPDATE", packet(flags=0x2800), 5),
        ("opcode 15", packet(flags=0x7800), 4),
        ("no question", packet(b"", counts=(0, 0, 0, 0)), 1),
        ("no question, EDNS", packet(OPT, counts=(0, 0, 0, 1)), 1),
        ("no question, cookie", packet(OPT[:-2] + COOKIE, counts=(0, 0, 0, 1)), 0),
        ("no question, cookie, EDNS version 1", packet(b"\0\0\x29\x04\xd0\0\1\0\0" + COOKIE, counts=(0, 0, 0, 1)), 16),
        ("two questions", packet(QUESTION * 2, counts=(2, 0, 0, 0)), 1),
        ("65535 questions", packet(counts=(65535, 0, 0, 0)), 1),
        ("ANCOUNT that lies", packet(counts=(1, 1, 0, 0)), 1),
        ("NSCOUNT that lies", packet(counts=(1, 0, 1, 0)), 1),
        ("ARCOUNT that lies", packet(counts=(1, 0, 0, 1)), 1),
        ("trailing octet", packet(QUESTION + b"\0"), 1),
        ("eleven octets", packet()[:11], "drop"),
        ("nothing", b"", "drop"),
        ("header alone", packet(b""), 1),
        ("cut question", packet()[:-1], 1),
        ("cut label", packet()[:20], 1),
        ("label type 0x40", packet(b"\x41a\0\0\1\0\1"), 1),
        ("pointer forward", packet(b"\xc0\x20\0\1\0\1"), 1),
        ("pointer to itself", packet(b"\xc0\x0c\0\1\0\1"), 1),
        ("name of 255 octets", packet((b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"a" * 61 + b"\0\0\1\0\1"), 5),
        ("name of 256 octets", packet((b"\x3f" + b"a" * 63) * 3 + b"\x3e" + b"a" * 62 + b"\0\0\1\0\1"), 1),
        ("127 labels", packet(b"\1a" * 127 + b"\0\0\1\0\1"), 5),
        ("128 labels", packet(b"\1a" * 128 + b"\0\0\1\0\1"), 1),
        ("root", packet(b"\0\0\2\0\1"), 5),
        ("dots inside a label", packet(b"\x0aip41.2.3.4\x02nt\x04test\0\0\1\0\1"), 3),
        ("zero inside a label", packet(b"\2p\0\x02nt\x04test\0\0\1\0\1"), 3),
        ("class NONE", packet(QUESTION[:-1] + b"\xfe"), 5),
        ("class 0", packet(QUESTION[:-1] + b"\0"), 5),
        (
            "IXFR with its SOA",
            packet(QUESTION[:-4] + b"\0\xfb\0\1" + b"\xc0\x0c\0\6\0\1\0\0\0\0\0\0", counts=(1, 0, 1, 0)),
            5,
        ),
        ("OPT in the authority", packet(QUESTION[:-4] + b"\0\xfb\0\1" + OPT, counts=(1, 0, 1, 0)), 1),
    ]

    def test_rows(self) -> None:
        """Each odd packet gets its response code or nothing."""
        for title, message, expected in self.ROWS:
            self.assertEqual((title, outcome(message)), (title, expected))

    def test_label_boundaries_are_kept(self) -> None:
        """A label with a dot inside is not two labels."""
        self.assertNotEqual(read_query(packet(b"\3a.b\0\0\1\0\1")).name, read_query(packet(b"\1a\1b\0\0\1\0\1")).name)

    def test_unreadable_queries_get_a_header(self) -> None:
        """The refusal repeats ID, opcode, RD and CD, sets QR, and is twelve octets long."""
        self.assertEqual(
            write_refusal(packet(flags=0x2FF0 & ~0x8000), 4), struct.pack("!6H", 0x1234, 0xA914, 0, 0, 0, 0)
        )


class GarbageTests(SynchronousTestCase):
    """Whatever arrives, the reader refuses it in its own words, and a response stays within its bounds."""

    @given(
        st.one_of(
            st.binary(max_size=600), st.builds(lambda rest: packet(rest, counts=(1, 0, 0, 1)), st.binary(max_size=300))
        )
    )
    def test_any_bytes(self, message: bytes) -> None:
        """Bytes give a response with the ID and QR, or nothing; a response gets nothing."""
        response = Responder(WORLD, lambda: 0.0).respond(message, udp=True)
        if len(message) < 12 or message[2] & 0x80:
            self.assertIs(response, None)
        else:
            assert response is not None
            self.assertEqual(response[:2], message[:2])
            self.assertTrue(response[2] & 0x80)
            self.assertLessEqual(len(response), 1232)

    @given(st.data())
    @example(None)
    def test_mutated_queries(self, data: st.DataObject | None) -> None:
        """A good query with octets changed, cut or added raises nothing but the two errors."""
        message = bytearray(packet(QUESTION + OPT, counts=(1, 0, 0, 1)))
        if data is not None:
            for position, octet in data.draw(
                st.lists(st.tuples(st.integers(0, len(message) - 1), st.integers(0, 255)))
            ):
                message[position] = octet
            message = message[: data.draw(st.integers(0, len(message)))] + data.draw(st.binary(max_size=20))
        try:
            dns.message.from_wire(respond(bytes(message), WORLD, 0.0, udp=True))
        except (BadQuery, NotAQuery) as error:
            self.assertTrue(str(error))

    @given(st.lists(st.binary(min_size=1, max_size=63), max_size=5))
    def test_names_round_trip(self, labels: list[bytes]) -> None:
        """A name that is written and read is the same in lower case."""
        if len(name_to_wire(tuple(labels))) > 255:
            return
        wire = name_to_wire(tuple(labels))
        expected = tuple(label.lower() for label in labels)
        self.assertEqual(read_query(packet(wire + b"\0\1\0\1")).name, expected)
        self.assertEqual(name_from_wire(wire), expected)


class SizeTests(SynchronousTestCase):
    """How large a response may be (RFC 6891 §6.2, RFC 9471)."""

    def reply(self, payload: int | None, *, udp: bool = True) -> dns.message.Message:
        query = dns.message.make_query(
            "big.nt.test", "TXT", use_edns=False if payload is None else 0, payload=payload or 0
        )
        wire = respond(query.to_wire(), WORLD, 0.0, udp=udp)
        self.assertLessEqual(len(wire), 65535 if not udp else min(max(512, payload or 0), 1232))
        return dns.message.from_wire(wire)

    def test_truncated_over_udp(self) -> None:
        """What does not fit is left out whole, with TC, so that the resolver asks over TCP."""
        for payload in (None, 0, 100, 512, 700):
            response = self.reply(payload)
            self.assertTrue(response.flags & dns.flags.TC)
            self.assertEqual((response.answer, response.authority, response.rcode()), ([], [], 0))

    def test_fits(self) -> None:
        """With room enough, or over TCP, it is whole."""
        for payload, udp in ((1232, True), (65535, True), (None, False)):
            response = self.reply(payload, udp=udp)
            self.assertFalse(response.flags & dns.flags.TC)
            self.assertEqual(len(response.answer), 1)

    def test_short_soa(self) -> None:
        """A SOA's names end in a pointer to its owner where they are below it, in any case, and read the same."""
        for names, pieces in (
            ("ns1 hostmaster", 3),
            ("ns1.Nt.TEST. @", 3),
            ("@ @", 3),
            ("ns1 host.example.", 2),
            ("nt.test.example. hostmaster", 2),
            ("ns.example. xnt.test.", 1),
            (". .", 1),
        ):
            text = f"@ 60 SOA {names} 2026010101 7200 900 1209600 60\n@ 60 NS ns.example.\n"
            zone = parse_zone(text, ORIGIN, "x")
            self.assertEqual(len(soa_around(ORIGIN, zone.soa.rdatas[0])), pieces, names)
            world = Authority(zone, ())
            for asked, section in (("nt.test", "answer"), ("a.b.NT.test", "authority"), ("x.nt.test", "authority")):
                (found,) = getattr(ask(world, asked, "SOA"), section)
                whole = dns.rdata.from_wire("IN", "SOA", zone.soa.rdatas[0], 0, len(zone.soa.rdatas[0]))
                self.assertEqual(found[0], whole, names)

    def test_edns_is_answered_with_edns(self) -> None:
        """OPT comes back with our size and the client's DO, without its options; without OPT there is none."""
        query = dns.message.make_query("ip41-2-3-4.nt.test", "A", use_edns=0, payload=4096, want_dnssec=True)
        query.use_edns(0, dns.flags.DO, 4096, options=[dns.edns.GenericOption(65001, b"x")])
        response = dns.message.from_wire(respond(query.to_wire(), WORLD, 0.0, udp=True))
        self.assertEqual(
            (response.edns, response.payload, response.ednsflags, response.options), (0, 1232, dns.flags.DO, ())
        )
        self.assertEqual(ask(WORLD, "ip41-2-3-4.nt.test", edns=-1).edns, -1)

    def test_flags_of_the_query(self) -> None:
        """RD and CD are repeated; AD, RA, TC and Z are not."""
        response = respond(packet(flags=0x03F0), WORLD, 0.0, udp=True)
        self.assertEqual(response[2:4], struct.pack("!H", 0x8510))

    def test_small_question_small_answer(self) -> None:
        """The owner of an answer is a pointer to the question."""
        self.assertEqual(len(respond(packet(), WORLD, 0.0, udp=True)), len(packet()) + 16)

    def test_additional_gives_way(self) -> None:
        """Additional records that do not fit are left out, but glue that is needed makes the response truncated."""
        query = read_query(packet())
        section = ((query.name, RRset(Type.TXT, 0, (b"\xff" + b"x" * 255,) * 2)),)
        spare = dns.message.from_wire(write_response(query, Answer(0, True, additional=section), 512))
        self.assertEqual((spare.flags & dns.flags.TC, spare.additional), (0, []))
        needed = Answer(0, True, additional=section, needs_additional=True)
        self.assertTrue(dns.message.from_wire(write_response(query, needed, 512)).flags & dns.flags.TC)

    def test_compressed_owners(self) -> None:
        """Owners that share an end point to it, wherever they stand; dnspython reads the same names back."""
        query = read_query(packet())
        owners = [query.name, query.name[1:], (b"a", b"b", b"c"), (b"x", b"b", b"c"), (b"b", b"c"), (b"y", *query.name)]
        sections = tuple((owner, RRset(Type.A, 1, (b"\1\2\3\4",))) for owner in owners)
        wire = write_response(query, Answer(0, True, sections), 65535)
        names = [str(rrset.name) for rrset in dns.message.from_wire(wire).answer]
        self.assertEqual(names, [".".join(label.decode() for label in owner) + "." for owner in owners])
        self.assertEqual(wire.count(b"\1b\1c"), 1)
