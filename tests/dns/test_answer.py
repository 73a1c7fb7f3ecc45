"""What is answered: the rules of `nodetrust.dns.answer`, read with dnspython from real bytes."""

import base64
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import ClassVar

import dns.edns
import dns.flags
import dns.message
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.answer import Identity
from nodetrust.dns.challenges.rights import decide
from nodetrust.dns.challenges.table import Challenge, ChallengeTable
from nodetrust.dns.records import parse_name
from nodetrust.dns.respond import respond
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import label_for_address
from tests.dns.example import CID, ORIGIN, PEER, PEER_LABEL, ask, authority, rows

SOA = "nt.test. {} IN SOA ns1.nt.test. hostmaster.nt.test. 2026010101 7200 900 1209600 60"
NEGATIVE = SOA.format(60)
WORLD = authority()


class PositiveTests(SynchronousTestCase):
    """Names that have the record that is asked for."""

    ROWS: ClassVar = [
        ("ip41-2-3-4.nt.test", "A", ["ip41-2-3-4.nt.test. 3600 IN A 1.2.3.4"]),
        ("ip4127-0-0-1.any.thing.nt.test", "A", ["ip4127-0-0-1.any.thing.nt.test. 3600 IN A 127.0.0.1"]),
        ("ip6--1.nt.test", "AAAA", ["ip6--1.nt.test. 3600 IN AAAA ::1"]),
        ("ip60--1.nt.test", "AAAA", ["ip60--1.nt.test. 3600 IN AAAA ::1"]),
        ("ip62001-db8--0.nt.test", "AAAA", ["ip62001-db8--0.nt.test. 3600 IN AAAA 2001:db8::"]),
        ("ip62001-db8--.nt.test", "AAAA", ["ip62001-db8--.nt.test. 3600 IN AAAA 2001:db8::"]),
        ("ip61-2-3-4-5-6-7-8.nt.test", "AAAA", ["ip61-2-3-4-5-6-7-8.nt.test. 3600 IN AAAA 1:2:3:4:5:6:7:8"]),
        (f"{PEER_LABEL}.nt.test", "TXT", [f'{PEER_LABEL}.nt.test. 3600 IN TXT "id={PEER}"']),
        (f"ip41-2-3-4.{PEER_LABEL}.nt.test", "A", [f"ip41-2-3-4.{PEER_LABEL}.nt.test. 3600 IN A 1.2.3.4"]),
        ("nt.test", "SOA", [SOA.format(3600)]),
        ("nt.test", "CAA", ['nt.test. 300 IN CAA 0 issue "letsencrypt.org"']),
        ("nt.test", "MX", ["nt.test. 300 IN MX 10 ns1.nt.test."]),
        ("ns1.nt.test", "AAAA", ["ns1.nt.test. 300 IN AAAA 2001:db8::1"]),
        ("proof.nt.test", "A", ["proof.nt.test. 300 IN A 192.0.2.2"]),
        ("ip41-2-3-4.proof.nt.test", "A", ["ip41-2-3-4.proof.nt.test. 3600 IN A 1.2.3.4"]),
        ("anything.wild.nt.test", "TXT", ['anything.wild.nt.test. 300 IN TXT "wild"']),
        ("www.nt.test", "A", ["www.nt.test. 300 IN CNAME ns1.nt.test.", "ns1.nt.test. 300 IN A 192.0.2.1"]),
        ("www.nt.test", "CNAME", ["www.nt.test. 300 IN CNAME ns1.nt.test."]),
        (
            "made.nt.test",
            "A",
            ["made.nt.test. 300 IN CNAME ip41-2-3-4.nt.test.", "ip41-2-3-4.nt.test. 3600 IN A 1.2.3.4"],
        ),
        ("away.nt.test", "A", ["away.nt.test. 300 IN CNAME host.elsewhere.example."]),
        ("ip49-9-9-9.nt.test", "A", ["ip49-9-9-9.nt.test. 3600 IN A 9.9.9.9"]),
        ("ip49-9-9-9.nt.test", "CAA", ['ip49-9-9-9.nt.test. 300 IN CAA 0 issue ";"']),
        (
            "ip47-7-7-7.nt.test",
            "AAAA",
            ["ip47-7-7-7.nt.test. 300 IN CNAME ns1.nt.test.", "ns1.nt.test. 300 IN AAAA 2001:db8::1"],
        ),
        ("_acme-challenge.proof.nt.test", "TXT", ['_acme-challenge.proof.nt.test. 300 IN TXT "by hand"']),
        ("nt.test", "ANY", ['nt.test. 60 IN HINFO "RFC8482" ""']),
        ("ip41-2-3-4.nt.test", "ANY", ['ip41-2-3-4.nt.test. 60 IN HINFO "RFC8482" ""']),
        ("www.nt.test", "ANY", ["www.nt.test. 300 IN CNAME ns1.nt.test."]),
    ]

    def test_rows(self) -> None:
        """Each name gives these records, authoritatively, and nothing in the authority section."""
        for name, type_, expected in self.ROWS:
            response = ask(WORLD, name, type_)
            self.assertEqual((name, type_, rows(response.answer)), (name, type_, expected))
            self.assertEqual((response.rcode(), response.authority), (0, []))
            self.assertTrue(response.flags & dns.flags.AA)
            self.assertFalse(response.flags & dns.flags.RA)

    def test_case_is_kept(self) -> None:
        """The answer repeats the question's case, in the owner too, and the value does not depend on it (RFC 4343)."""
        response = ask(WORLD, "iP6FE80--ABCD.Nt.TEST", "AAAA")
        self.assertEqual(rows(response.answer), ["iP6FE80--ABCD.Nt.TEST. 3600 IN AAAA fe80::abcd"])
        self.assertEqual(rows(ask(WORLD, f"{PEER_LABEL.upper()}.nt.test", "TXT").answer)[0].split('"')[1], f"id={PEER}")

    def test_class_any(self) -> None:
        """A question of class ANY is answered as one of class IN, as Knot does."""
        query_answer = ask(WORLD, "ip41-2-3-4.nt.test", "A", class_="ANY")
        self.assertEqual((query_answer.rcode(), len(query_answer.answer)), (0, 1))

    def test_name_servers_come_with_their_addresses(self) -> None:
        """NS at the apex brings the addresses of the servers within the zone."""
        response = ask(WORLD, "nt.test", "NS")
        self.assertEqual(len(response.answer[0]), 2)
        self.assertEqual(
            rows(response.additional), ["ns1.nt.test. 300 IN A 192.0.2.1", "ns1.nt.test. 300 IN AAAA 2001:db8::1"]
        )

    @given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
    def test_every_address(self, address: IPv4Address | IPv6Address) -> None:
        """The name that we write for an address has that address."""
        type_ = "A" if address.version == 4 else "AAAA"
        (row,) = rows(ask(WORLD, f"{label_for_address(address)}.nt.test", type_).answer)
        self.assertEqual(ip_address(row.split()[-1]), address)


class NegativeTests(SynchronousTestCase):
    """Names without the record, and names that do not exist."""

    NODATA: ClassVar = [
        ("ip41-2-3-4.nt.test", "AAAA"),
        ("ip6--1.nt.test", "A"),
        (f"{PEER_LABEL}.nt.test", "A"),
        ("ip41-2-3-4.nt.test", "TYPE0"),
        ("ip41-2-3-4.nt.test", "TYPE65535"),
        ("ip41-2-3-4.nt.test", "OPT"),
        ("ip41-2-3-4.nt.test", "RRSIG"),
        ("nt.test", "A"),
        ("nt.test", "DS"),
        ("anything.nt.test", "A"),
        ("any.thing.nt.test", "NS"),
        ("anything.nt.test", "ANY"),
        ("under.proof.nt.test", "A"),
        ("wild.nt.test", "TXT"),
        ("anything.wild.nt.test", "A"),
        ("ip41-2-3-4.wild.nt.test", "TXT"),
        ("sub.nt.test", "DS"),
    ]
    NXDOMAIN: ClassVar = [
        "ip4256-1-1-1.nt.test",
        "ip41-2-3.nt.test",
        "ip41-2-3-4-5.nt.test",
        "ip401-2-3-4.nt.test",
        "ip4.nt.test",
        "ip6.nt.test",
        "ip6g--1.nt.test",
        "ip61-2-3-4-5-6-7-8-9.nt.test",
        "ip6--1.2.3.4-.ip4.nt.test",
        "p.nt.test",
        "pproof.nt.test",
        f"{PEER_LABEL[:-1]}_.nt.test",
        f"{PEER_LABEL}a.nt.test",
        r"p\255.nt.test",
        "ip41-2-3-4.ip4256-1-1-1.nt.test",
        "_acme-challenge.ip4256-1-1-1.nt.test",
        "anything.pub.nt.test",
    ]

    def test_no_data(self) -> None:
        """A name that exists, or that something could exist below, is NOERROR with the SOA and its negative TTL."""
        for name, type_ in self.NODATA:
            response = ask(WORLD, name, type_)
            found = (response.rcode(), response.answer, rows(response.authority), response.flags & dns.flags.AA > 0)
            self.assertEqual((name, type_, *found), (name, type_, 0, [], [NEGATIVE], True))

    def test_name_error(self) -> None:
        """A label that begins like one of ours and spells nothing is NXDOMAIN with the SOA, and so is all below it."""
        for name in self.NXDOMAIN:
            for type_ in ("A", "TXT", "ANY"):
                response = ask(WORLD, name, type_)
                found = (response.rcode(), response.answer, rows(response.authority))
                self.assertEqual((name, *found), (name, 3, [], [NEGATIVE]))

    def test_nothing_above_an_existing_name_is_denied(self) -> None:
        """RFC 8020: on the way down to a name that has records, each name is NOERROR."""
        for name in (
            "ip41-2-3-4.a.b-c._d.nt.test",
            "deep.under.proof.nt.test",
            f"_acme-challenge.ip6--1.{PEER_LABEL}.nt.test",
        ):
            labels = name.split(".")
            for index in range(len(labels) - 2):
                self.assertEqual(ask(WORLD, ".".join(labels[index:]), "NS").rcode(), 0, labels[index:])

    def test_alias_to_a_missing_name(self) -> None:
        """A CNAME to a name of the zone that does not exist is NXDOMAIN, and the CNAME is shown (RFC 6604)."""
        response = ask(WORLD, "gone.nt.test", "A")
        self.assertEqual((response.rcode(), rows(response.authority)), (3, [NEGATIVE]))
        self.assertEqual(rows(response.answer), ["gone.nt.test. 300 IN CNAME ip4256-1-1-1.nt.test."])

    def test_alias_loop(self) -> None:
        """CNAMEs in a circle end."""
        self.assertLessEqual(len(ask(WORLD, "loop.nt.test", "A").answer), 9)

    def test_policy(self) -> None:
        """An address that the policy leaves out is a name without an address."""
        world = authority(policy=lambda address: address.is_global)
        self.assertEqual(rows(ask(world, "ip410-0-0-1.nt.test", "A").authority), [NEGATIVE])
        self.assertEqual(rows(ask(world, "ip6--1.nt.test", "AAAA").authority), [NEGATIVE])
        self.assertEqual(len(ask(world, "ip41-1-1-1.nt.test", "A").answer), 1)


class RefusalTests(SynchronousTestCase):
    """Questions that are not for this server."""

    def test_refused(self) -> None:
        """Other zones, other classes and transfers are REFUSED, without AA and with nothing in it."""
        for name, type_, class_ in [
            ("example.org", "A", "IN"),
            (".", "NS", "IN"),
            ("test", "NS", "IN"),
            ("xnt.test", "A", "IN"),
            ("version.bind", "TXT", "CH"),
            ("ip41-2-3-4.nt.test", "A", "CH"),
            ("ip41-2-3-4.nt.test", "A", "HS"),
            ("nt.test", "AXFR", "IN"),
            ("nt.test", "IXFR", "IN"),
        ]:
            response = ask(WORLD, name, type_, class_=class_)
            found = (response.rcode(), response.answer, response.authority, response.flags & dns.flags.AA)
            self.assertEqual((name, type_, *found), (name, type_, 5, [], [], 0))

    def test_unknown_edns_version(self) -> None:
        """EDNS version 1 is BADVERS, whatever the question, and the reply says version 0."""
        response = ask(WORLD, "ip41-2-3-4.nt.test", "A", edns=1)
        self.assertEqual((response.rcode(), response.edns, response.answer), (16, 0, []))

    def test_referral(self) -> None:
        """Below a delegation the answer is its name servers with their glue, without AA."""
        for name in ("sub.nt.test", "host.sub.nt.test", "ip41-2-3-4.sub.nt.test", "ns.sub.nt.test"):
            response = ask(WORLD, name, "A")
            self.assertEqual((response.rcode(), response.answer, response.flags & dns.flags.AA), (0, [], 0))
            self.assertEqual([line.split()[0] for line in rows(response.authority)], ["sub.nt.test."] * 2)
            self.assertEqual(rows(response.additional), ["ns.sub.nt.test. 300 IN A 192.0.2.9"])


class IdentityTests(SynchronousTestCase):
    """What the server tells about itself."""

    WORLD = authority(identity=Identity(b"nodetrust 1", b"ns1.ams"))

    def test_chaos(self) -> None:
        """In class CH the configured texts are answered, in that class and in any case, and nothing else is."""
        for name, text in (
            ("version.bind", "nodetrust 1"),
            ("VERSION.server", "nodetrust 1"),
            ("hostname.bind", "ns1.ams"),
            ("id.server", "ns1.ams"),
        ):
            response = ask(self.WORLD, name, "TXT", class_="CH")
            self.assertEqual(rows(response.answer), [f'{name}. 0 CH TXT "{text}"'])
            self.assertEqual(ask(self.WORLD, name, "A", class_="CH").rcode(), 5)
            self.assertEqual(ask(self.WORLD, name, "TXT").rcode(), 5)
            self.assertEqual(ask(WORLD, name, "TXT", class_="CH").rcode(), 5)
        self.assertEqual(ask(self.WORLD, "authors.bind", "TXT", class_="CH").rcode(), 5)
        self.assertEqual(ask(self.WORLD, "ip41-2-3-4.nt.test", "A", class_="CH").rcode(), 5)

    def test_name_server_identifier(self) -> None:
        """NSID comes to whoever asks for it, in truncated answers too, where it is configured (RFC 5001)."""
        for world, asked, expected in ((self.WORLD, True, [b"ns1.ams"]), (self.WORLD, False, []), (WORLD, True, [])):
            for name in ("ip41-2-3-4.nt.test", "big.nt.test", "example.org"):
                query = dns.message.make_query(name, "TXT", use_edns=0, payload=512)
                query.use_edns(0, 0, 512, options=[dns.edns.GenericOption(dns.edns.NSID, b"")] if asked else [])
                response = dns.message.from_wire(respond(query.to_wire(), world, 0.0, udp=True))
                found = [option.to_wire() for option in response.options if option.otype == dns.edns.NSID]
                self.assertEqual(found, expected)


class AutoTlsTests(SynchronousTestCase):
    """The names of libp2p.direct, `<address>.<CID>.<zone>`."""

    ADDRESSES: ClassVar = [
        ("1-2-3-4", "A", "1.2.3.4"),
        ("10-0-0-1", "A", "10.0.0.1"),
        ("0--1", "AAAA", "::1"),
        ("--1", "AAAA", "::1"),
        ("0--", "AAAA", "::"),
        ("0--0", "AAAA", "::"),
        ("2001-db8--1", "AAAA", "2001:db8::1"),
        ("2001-db8--0", "AAAA", "2001:db8::"),
        ("0-0-0-0-0-0-0-1", "AAAA", "::1"),
        ("1234-5678-90AB-CDEF-1-22-33-444", "AAAA", "1234:5678:90ab:cdef:1:22:33:444"),
    ]
    NO_ADDRESS = ("1-2-3-4-5", "1-2-3", "1-2-3-444", "256-1-1-1", "1-2-3-4-5-6-7", "1-2-3-4-5-6-7-8-9", "x", "01-2-3-4")

    def test_addresses(self) -> None:
        """Every form of an address has its record, by a CID in base 36 or 32, and in any case; the other type none."""
        base32 = "b" + base64.b32encode(b"\x01\x72" + PeerId.from_base58(PEER).multihash).decode().lower().rstrip("=")
        for label, type_, address in self.ADDRESSES:
            for cid in (CID, CID.upper(), base32):
                name = f"{label}.{cid}.nt.test"
                self.assertEqual(rows(ask(WORLD, name, type_).answer), [f"{name}. 3600 IN {type_} {address}"])
                other = ask(WORLD, name, "TXT")
                self.assertEqual((other.rcode(), other.answer, rows(other.authority)), (0, [], [NEGATIVE]))

    def test_no_address(self) -> None:
        """What spells none is a name without records, and so is the peer's own name (RFC 8020)."""
        for name in (CID, *(f"{label}.{CID}" for label in self.NO_ADDRESS)):
            for type_ in ("A", "AAAA", "TXT", "CAA"):
                response = ask(WORLD, f"{name}.nt.test", type_)
                self.assertEqual((name, response.rcode(), response.answer), (name, 0, []))
                self.assertEqual(rows(response.authority), [NEGATIVE])

    def test_only_beside_each_other(self) -> None:
        """Without a peer's CID just below the zone there is no address."""
        for name in ("1-2-3-4", "1-2-3-4.x", f"1-2-3-4.{CID}.x", f"1-2-3-4.x.{CID}", f"1-2-3-4.{CID[:-1]}"):
            self.assertEqual(ask(WORLD, f"{name}.nt.test", "A").answer, [])

    def test_policy(self) -> None:
        """The policy counts here too."""
        world = authority(policy=lambda address: address.is_global)
        self.assertEqual(ask(world, f"10-0-0-1.{CID}.nt.test", "A").answer, [])
        self.assertEqual(len(ask(world, f"1-1-1-1.{CID}.nt.test", "A").answer), 1)

    def test_challenge(self) -> None:
        """The challenge for a peer's wildcard is at the peer's own name."""
        table = ChallengeTable()
        table.add(decide(ORIGIN, f"{CID}.nt.test", "v" * 43), 0)
        name = f"_acme-challenge.{CID}.nt.test"
        self.assertEqual(rows(ask(authority(table), name, "TXT").answer), [f'{name}. 10 IN TXT "{"v" * 43}"'])
        self.assertEqual(rows(ask(authority(table), name, "TXT", now=600).answer), [f'{name}. 5 IN TXT "not set yet"'])
        self.assertEqual(rows(ask(WORLD, name, "TXT").answer), [f'{name}. 5 IN TXT "not set yet"'])
        self.assertEqual(rows(ask(WORLD, name, "A").authority), [SOA.format(5)])
        self.assertEqual(ask(WORLD, f"_acme-challenge.x.{CID}.nt.test", "TXT").answer, [])


class ChallengeAnswerTests(SynchronousTestCase):
    """`_acme-challenge` names."""

    NAME = "_acme-challenge.ip41-2-3-4.nt.test"

    def test_no_value_is_soon_forgotten(self) -> None:
        """Without a value the answer is NODATA with an SOA that lives for five seconds."""
        for type_ in ("TXT", "A", "NS", "ANY"):
            response = ask(WORLD, self.NAME, type_)
            self.assertEqual((response.rcode(), response.answer, rows(response.authority)), (0, [], [SOA.format(5)]))

    def test_values_side_by_side(self) -> None:
        """All values of a name are answered, the newest first, for ten seconds at most and never beyond their end."""
        table = ChallengeTable(600)
        world = authority(table)
        name = parse_name("ip41-2-3-4.nt.test")
        table.add(Challenge(name, b"first"), 0)
        table.add(Challenge(name, b"second"), 300)
        self.assertEqual(
            rows(ask(world, self.NAME.upper(), "TXT", now=300).answer),
            [f'{self.NAME.upper()}. 10 IN TXT "second"', f'{self.NAME.upper()}. 10 IN TXT "first"'],
        )
        self.assertEqual(ask(world, self.NAME, "TXT", now=596.5).answer[0].ttl, 3)
        self.assertEqual(rows(ask(world, self.NAME, "TXT", now=600).answer), [f'{self.NAME}. 10 IN TXT "second"'])
        self.assertEqual(rows(ask(world, self.NAME, "TXT", now=901).answer), [])
        self.assertEqual(rows(ask(world, self.NAME, "A", now=300).authority), [SOA.format(5)])

    def test_other_names_are_untouched(self) -> None:
        """A value is at its own name only."""
        table = ChallengeTable()
        table.add(Challenge((b"ip41-2-3-4", *ORIGIN), b"value"), 0)
        world = authority(table)
        for name in (
            "ip41-2-3-4.nt.test",
            "_acme-challenge.ip41-2-3-5.nt.test",
            "_acme-challenge.nt.test",
            "x." + self.NAME,
        ):
            self.assertEqual(ask(world, name, "TXT").answer, [])
