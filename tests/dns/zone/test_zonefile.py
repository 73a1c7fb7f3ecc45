"""Zone files: what is read, and what is refused with its place."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.errors import ZoneError
from nodetrust.dns.records import RRset, Type, name_to_wire, parse_name
from nodetrust.dns.zone import zonefile
from nodetrust.dns.zone.zonefile import default_zone_text, load_zone, parse_zone, zone_to_text
from tests.dns import example

ORIGIN = parse_name("nt.test")
APEX = "@ 60 SOA ns.x. h.x. 1 2 3 4 5\n@ 60 NS ns.x.\n"


class RefusalTests(SynchronousTestCase):
    """A zone file that cannot be served is refused with file and line."""

    def refused(self, text: str) -> str:
        return str(self.assertRaises(ZoneError, parse_zone, text, ORIGIN, "z"))

    def test_places(self) -> None:
        """Each fault is told with the line that it is on."""
        for text, expected in [
            (APEX + "\n\na 60 A 1.2.3\n", "z:5: "),
            (APEX + "a 60 NONSENSE 1.2.3.4\n", "z:3: unknown rdatatype 'NONSENSE'"),
            (APEX + "a 60 TXT (\n", "z:3: unbalanced parentheses"),
            (APEX + "$TTL never\n", "z:3: "),
            (APEX + "$INCLUDE /etc/passwd\n", "z:3: zone file directive '$INCLUDE' is not allowed"),
            (APEX + "a.example. 60 A 1.2.3.4", "z:3: a.example is not in nt.test"),
            (
                APEX + "a 60 A 1.2.3.4\n; comment\na 60 CNAME b\n",
                "z:5: a.nt.test has a CNAME, so it can have nothing else",
            ),
            (APEX + "a 60 CNAME b\na 60 A 1.2.3.4\n", "z:4: a.nt.test has a CNAME, so it can have nothing else"),
            (APEX + "a 60 CNAME b\na 60 CNAME c\n", "z:4: a second CNAME at a.nt.test"),
            (APEX + "@ 60 SOA ns.x. h.x. 2 2 3 4 5\n", "z:3: a second SOA at nt.test"),
            (APEX + "a 60 SOA ns.x. h.x. 2 2 3 4 5\n", "z:3: SOA below the zone's own name nt.test"),
            (APEX + "@ 60 NS (\n ns )\n", "z:4: the name server ns.nt.test has no A or AAAA record in this file"),
            (APEX + "sub 60 NS ns.sub\n", "z:3: the name server ns.sub.nt.test has no A or AAAA record in this file"),
            (APEX + "a" * 64 + " 60 A 1.2.3.4\n", "z:3: "),
            (APEX + "a 60 DNAME b\n", "z:3: DNAME is not served here"),
            (APEX + "\0ä 60 A 1.2.3.4\n", "z:3: IDNA"),
            (APEX + "a 2147483648 A 1.2.3.4\n", "z:3: "),
            (APEX + '@ 60 CAA 0 issue "no domain"\n', "z:3: CAA: 'no domain' is not the domain name of a CA"),
            (APEX + '@ 60 CAA 0 issue "ca.x; accounturi"\n', "z:3: CAA: 'accounturi' is not tag=value"),
            (APEX + '@ 60 CAA 0 issue "ca.x; accounturi=1"\n', "z:3: CAA: accounturi=1 is not a URI"),
            (APEX + '@ 60 CAA 0 issuewild "x; validationmethods=,"\n', "z:3: CAA: validationmethods=, is not a list"),
            ("@ 60 NS ns.x.\n", "z: no SOA record at nt.test"),
            ("@ 60 SOA ns.x. h.x. 1 2 3 4 5\n", "z: no NS record at nt.test"),
            ("", "z: no SOA record at nt.test"),
        ]:
            message = self.refused(text)
            self.assertTrue(message.startswith(expected), f"{text!r} gave {message!r}")
            self.assertNotIn("\n", message)

    def test_unreadable_files(self) -> None:
        """A file that is not there or not text is refused by name."""
        path = Path(self.mktemp())
        self.assertEqual(
            str(self.assertRaises(ZoneError, load_zone, path, ORIGIN)),
            f"{path}: cannot be read: No such file or directory",
        )
        path.write_bytes(b"\xff\xfe")
        self.assertEqual(str(self.assertRaises(ZoneError, load_zone, path, ORIGIN)), f"{path}: is not text in UTF-8")
        self.patch(zonefile, "MAX_FILE_BYTES", 1)
        self.assertEqual(str(self.assertRaises(ZoneError, load_zone, path, ORIGIN)), f"{path}: larger than 1 bytes")


class ReadingTests(SynchronousTestCase):
    """What stands in a zone."""

    def test_from_a_file(self) -> None:
        """A file on a disk is read like its text."""
        path = Path(self.mktemp())
        path.write_text(APEX)
        self.assertEqual(load_zone(path, ORIGIN), parse_zone(APEX, ORIGIN, "z"))

    def test_sets(self) -> None:
        """Records of one name and type are one set without doubles, with the lowest TTL, in any case of the name."""
        zone = parse_zone(APEX + "A 60 A 1.2.3.4\na 30 A 1.2.3.5\na 90 A 1.2.3.4\n", ORIGIN, "z")
        expected = RRset(Type.A, 30, (b"\1\2\3\4", b"\1\2\3\5"))
        self.assertEqual(zone.nodes[(b"a", *ORIGIN)].rrsets, {Type.A: expected})

    def test_unknown_types(self) -> None:
        """Types that nobody has named yet are written as RFC 3597 says."""
        zone = parse_zone(APEX + r"a 60 TYPE65280 \# 3 abcdef", ORIGIN, "z")
        self.assertEqual(zone.nodes[(b"a", *ORIGIN)].rrsets[65280].rdatas, (b"\xab\xcd\xef",))

    def test_names_in_between(self) -> None:
        """The names above a name of the file exist, with nothing there."""
        zone = parse_zone(APEX + "a.b.c 60 A 1.2.3.4\n", ORIGIN, "z")
        self.assertEqual(set(zone.nodes), {ORIGIN, (b"a", b"b", b"c", *ORIGIN), (b"b", b"c", *ORIGIN), (b"c", *ORIGIN)})
        self.assertEqual(zone.nodes[(b"c", *ORIGIN)].rrsets, {})

    def test_negative_ttl(self) -> None:
        """It is the lower of the SOA's TTL and its last field (RFC 2308)."""
        for ttl, minimum, expected in ((60, 5, 5), (5, 60, 5)):
            zone = parse_zone(f"@ {ttl} SOA ns.x. h.x. 1 2 3 4 {minimum}\n@ 60 NS ns.x.\n", ORIGIN, "z")
            self.assertEqual(zone.negative_soa().ttl, expected)
            self.assertEqual(zone.negative_soa(3).ttl, 3)

    def test_default_zone(self) -> None:
        """Without a zone file the server itself is the one name server, at the addresses it listens on."""
        zone = parse_zone(default_zone_text(["127.0.0.1", "::1"]), ORIGIN, "z")
        host = (b"ns", *ORIGIN)
        self.assertEqual(zone.nodes[ORIGIN].rrsets[Type.NS].rdatas, (name_to_wire(host),))
        self.assertEqual(
            [rrset.rdatas for _, rrset in zone.glue(zone.nodes[ORIGIN].rrsets[Type.NS])],
            [(b"\x7f\0\0\1",), (b"\0" * 15 + b"\1",)],
        )


class CaaTests(SynchronousTestCase):
    """CAA records as RFC 8659 and RFC 8657 write them."""

    def test_read(self) -> None:
        """Issuers with and without parameters, nobody at all, and other tags are taken."""
        for value in (
            "letsencrypt.org",
            ";",
            "",
            "letsencrypt.org;",
            "letsencrypt.org; validationmethods=dns-01",
            "letsencrypt.org;accounturi=https://acme-v02.api.letsencrypt.org/acme/acct/1;validationmethods=dns-01,x-y",
            " ca1.example.net ; account = 230123 ",
        ):
            zone = parse_zone(f'{APEX}@ 60 CAA 0 issue "{value}"\n@ 60 CAA 0 iodef "mailto:a b"\n', ORIGIN, "z")
            self.assertIn(b"\0\5issue" + value.encode(), zone.nodes[ORIGIN].rrsets[Type.CAA].rdatas)

    def test_default_zone(self) -> None:
        """The default zone has those that the settings name."""
        zone = parse_zone(default_zone_text(["192.0.2.1"], ["a.x", "b.x; validationmethods=dns-01"]), ORIGIN, "z")
        self.assertEqual(len(zone.nodes[ORIGIN].rrsets[Type.CAA].rdatas), 2)


class WritingTests(SynchronousTestCase):
    """`zone_to_text`."""

    def test_round_trip(self) -> None:
        """What is written is read back as the same zone, with SOA in the first line."""
        unusual = 'TXT "quote \\" and \\255" ""\nodd\\.dot 60 TYPE65400 \\# 3 abcdef\n\\@ 60 A 192.0.2.3\n'
        zone = parse_zone(example.ZONE + "strange " + unusual, ORIGIN, "z")
        text = zone_to_text(zone)
        self.assertEqual(parse_zone(text, ORIGIN, "z").nodes, zone.nodes)
        self.assertTrue(text.startswith("nt.test. 3600 IN SOA "))
        self.assertEqual(zone.serial, 2026010101)
