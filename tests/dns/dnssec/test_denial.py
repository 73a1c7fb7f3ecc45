"""NSEC records: their bits, and the name that comes next."""

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.dnssec.denial import nsec, successor, type_bitmap, types_at_cut
from nodetrust.dns.records import Name, Type, name_to_wire
from tests.dns.example import ORIGIN

LABELS = st.one_of(
    st.binary(min_size=1, max_size=63),
    st.sampled_from([b"\xff" * 63, b"@" * 63, b"z" * 63, b"Z".lower() * 62, b"\0"]),
)


@st.composite
def names(draw: st.DrawFn) -> Name:
    """Names of the zone in lower case, often as long as a name may be."""
    name = ORIGIN
    for label in draw(st.lists(LABELS, max_size=6)):
        room = 255 - len(name_to_wire(name)) - 1
        if room > 0:
            name = (label[:room].lower(), *name)
    return name


def known(name: Name) -> dns.name.Name:
    """The same for dnspython."""
    return dns.name.Name([*name, b""])


class BitmapTests(SynchronousTestCase):
    """`type_bitmap`."""

    def test_rfc_4034(self) -> None:
        """The example of RFC 4034 §4.3."""
        found = type_bitmap((Type.A, Type.MX, Type.RRSIG, Type.NSEC, 1234))
        self.assertEqual(found.hex(), "0006400100000003041b" + "00" * 26 + "20")

    @given(st.sets(st.integers(1, 65535), min_size=1, max_size=40))
    def test_any_types(self, types: set[int]) -> None:
        """dnspython reads the same types."""
        rdata = b"\0" + type_bitmap(types)
        read = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.NSEC, rdata, 0, len(rdata))
        self.assertEqual(
            {
                w * 256 + i * 8 + b
                for w, bits in read.windows
                for i, v in enumerate(bits)
                for b in range(8)
                if v & 128 >> b
            },
            types,
        )


class SuccessorTests(SynchronousTestCase):
    """`successor`."""

    @given(names(), names())
    def test_nothing_in_between(self, name: Name, other: Name) -> None:
        """The successor is a name of the zone behind the name, with no other name of the zone between."""
        after = known(successor(name, ORIGIN))
        self.assertTrue(after.is_subdomain(known(ORIGIN)))
        self.assertEqual(after, after.canonicalize())
        if after == known(ORIGIN):
            self.assertGreaterEqual(known(name), known(other))
            return
        self.assertLess(known(name), after)
        self.assertFalse(known(name) < known(other) < after)

    def test_long_names(self) -> None:
        """A name without room for a label more, for an octet more, and one whose last octet cannot grow."""
        long = b"a" * 63
        top = (long, long, long)  # with the zone 3 * 64 + 9 octets
        for labels, expected in (
            ((b"b" * 51, *top), (b"\0", b"b" * 51, *top)),
            ((b"b" * 52, *top), (b"b" * 52 + b"\0", *top)),
            ((b"b" * 53, *top), (b"b" * 52 + b"c", *top)),
            ((b"b" * 52 + b"@", *top), (b"b" * 52 + b"[", *top)),
            ((b"b" * 52 + b"\xff", *top), (b"b" * 51 + b"c", *top)),
            ((b"\xff" * 53, *top), (b"a" * 62 + b"b", long, long)),
            ((b"\xff" * 53, *(b"\xff" * 63,) * 3), ()),
        ):
            self.assertEqual(successor((*labels, *ORIGIN), ORIGIN), (*expected, *ORIGIN))


class NsecTests(SynchronousTestCase):
    """`nsec` and `types_at_cut`."""

    def test_text(self) -> None:
        """A whole record as dnspython shows it."""
        rdata = nsec((b"x", *ORIGIN), (Type.NXNAME,), 60, ORIGIN).rdatas[0]
        read = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.NSEC, rdata, 0, len(rdata))
        self.assertEqual(read.to_text(), "\\000.x.nt.test. RRSIG NSEC NXNAME")

    def test_cut(self) -> None:
        """At a delegation only NS and DS are the parent's to speak of."""
        self.assertEqual(types_at_cut((Type.NS, Type.A, Type.DS, Type.TXT)), {Type.NS, Type.DS})
