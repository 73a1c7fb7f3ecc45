"""Signed answers, each validated by dnspython: what is signed, what is denied, and what stays as it was."""

from __future__ import annotations

from dataclasses import replace

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.answer import Identity
from nodetrust.dns.challenges.table import Challenge, ChallengeTable
from nodetrust.dns.dnssec.apex import with_keys
from nodetrust.dns.dnssec.keys import generate
from nodetrust.dns.records import parse_name
from nodetrust.dns.respond import Responder, respond
from nodetrust.dns.sources import Ip4Source
from nodetrust.dns.zone.zonefile import parse_zone
from tests.dns.challenges.test_table import VALUE
from tests.dns.dnssec.example import (
    APEX,
    CO,
    KEY,
    NOW,
    ask_signed,
    check_signatures,
    dnskeys,
    signed_world,
    unsigned_world,
)
from tests.dns.example import ORIGIN, PEER_LABEL, rows

WORLD = signed_world()
UNSIGNED = unsigned_world()
FOR_SIGNING = {"RRSIG", "NSEC", "DNSKEY", "CDS", "CDNSKEY"}


def without_signatures(section: list[dns.rrset.RRset], *types: str) -> list[str]:
    """The lines of a section but for RRSIG and these types."""
    left_out = {dns.rdatatype.RRSIG, *(dns.rdatatype.from_text(type_) for type_ in types)}
    return rows([rrset for rrset in section if rrset.rdtype not in left_out])


def denial(response: dns.message.Message) -> tuple[str, str]:
    """The owner of the one NSEC in the authority section, and its types."""
    (found,) = [rrset for rrset in response.authority if rrset.rdtype == dns.rdatatype.NSEC]
    following, _, types = found[0].to_text().partition(" ")
    assert following == f"\\000.{found.name.to_text().lower()}", found
    return found.name.to_text(), types


class PositiveTests(SynchronousTestCase):
    """What exists is signed, under its own name."""

    NAMES = (
        ("ip41-2-3-4.nt.test", "A"),
        ("Ip62001-DB8--1.x.nt.test", "AAAA"),
        (f"{PEER_LABEL}.nt.test", "TXT"),
        ("nt.test", "SOA"),
        ("nt.test", "NS"),
        ("nt.test", "CAA"),
        ("nt.test", "DNSKEY"),
        ("nt.test", "CDS"),
        ("nt.test", "CDNSKEY"),
        ("nt.test", "ANY"),
        ("ip41-2-3-4.nt.test", "ANY"),
        ("www.nt.test", "A"),
        ("made.nt.test", "A"),
        ("away.nt.test", "A"),
        ("loop.nt.test", "A"),
        ("x.wild.nt.test", "TXT"),
        ("*.wild.nt.test", "TXT"),
        ("x.alias.nt.test", "AAAA"),
        ("y.filled.proof.nt.test", "A"),
        ("mixed.nt.test", "MX"),
        ("mixed.nt.test", "SRV"),
        ("many.nt.test", "TXT"),
        ("huge.nt.test", "TXT"),
        ("ip49-9-9-9.nt.test", "CAA"),
        ("secure.nt.test", "DS"),
    )

    def test_rows(self) -> None:
        """Every set of the answer and of the addresses beside it has a signature that holds; nothing is denied."""
        for name, type_ in self.NAMES:
            response = ask_signed(WORLD, name, type_)
            self.assertEqual((response.rcode(), response.authority), (0, []), (name, type_))
            self.assertTrue(response.answer, (name, type_))
            bare = check_signatures(response.answer) | check_signatures(response.additional)
            self.assertEqual(bare, set(), (name, type_))
            self.assertEqual(response.answer[0].name.to_text(), f"{name}.")

    def test_labels(self) -> None:
        """A wildcard's answer is signed as a name of its own, so it needs no proof; the wildcard itself as one."""
        for name, labels in (("x.y.wild.nt.test", 5), ("*.wild.nt.test", 3), ("nt.test", 2)):
            type_ = "TXT" if "wild" in name else "SOA"
            self.assertEqual(ask_signed(WORLD, name, type_).answer[1][0].labels, labels)

    def test_flags(self) -> None:
        """AA and DO are set, AD is not, and CD is as the resolver had it."""
        for flags in (0, dns.flags.CD, dns.flags.AD | dns.flags.RD):
            query = dns.message.make_query("nt.test", "SOA", want_dnssec=True, flags=flags)
            response = dns.message.from_wire(respond(query.to_wire(), WORLD, 0.0, udp=True))
            self.assertEqual(response.flags, dns.flags.QR | dns.flags.AA | (flags & ~dns.flags.AD))
            self.assertEqual(response.ednsflags, dns.flags.DO)

    def test_other_keys_do_not_fit(self) -> None:
        """The validator of these tests would notice another key and another time."""
        answer = ask_signed(WORLD, "ip41-2-3-4.nt.test").answer
        with self.assertRaises(dns.dnssec.ValidationFailure):
            check_signatures(answer, generate())
        for now in (NOW - 3 * 86400, NOW + 15 * 86400):
            with self.assertRaises(dns.dnssec.ValidationFailure):
                check_signatures(answer, now=now)

    def test_rollover(self) -> None:
        """All keys are published, the first signs, and the set of keys is signed by each."""
        second = generate()
        world = signed_world(keys=(KEY, second))
        keys = ask_signed(world, "nt.test", "DNSKEY").answer
        self.assertEqual((len(keys[0]), len(keys[1])), (2, 2))
        for key in (KEY, second):
            check_signatures(keys, key)
        self.assertEqual(len(ask_signed(world, "nt.test", "CDS").answer[0]), 2)
        for turned, key in ((world, KEY), (signed_world(keys=(second, KEY)), second)):
            check_signatures(ask_signed(turned, "ip41-2-3-4.nt.test").answer, key)
            self.assertEqual(len(ask_signed(turned, "ip41-2-3-4.nt.test").answer[1]), 1)


class DenialTests(SynchronousTestCase):
    """What is missing is denied by one NSEC at the name."""

    ROWS = (
        ("ip41-2-3-4.nt.test", "AAAA", "A RRSIG NSEC"),
        ("ip41-2-3-4.nt.test", "DS", "A RRSIG NSEC"),
        ("ip41-2-3-4.nt.test", "HINFO", "A RRSIG NSEC"),
        ("Ip6--1.nt.test", "A", "AAAA RRSIG NSEC"),
        (f"{PEER_LABEL}.nt.test", "A", "TXT RRSIG NSEC"),
        ("ip49-9-9-9.nt.test", "TXT", "A RRSIG NSEC CAA"),
        ("_acme-challenge.ip41-2-3-4.nt.test", "TXT", "RRSIG NSEC"),
        ("_acme-challenge.proof.nt.test", "A", "TXT RRSIG NSEC"),
        ("under.proof.nt.test", "A", "RRSIG NSEC"),
        ("nothing.nt.test", "A", "RRSIG NSEC"),
        ("nothing.nt.test", "ANY", "RRSIG NSEC"),
        ("nt.test", "A", "NS SOA MX RRSIG NSEC DNSKEY CDS CDNSKEY CAA"),
        ("nt.test", "DS", "NS SOA MX RRSIG NSEC DNSKEY CDS CDNSKEY CAA"),
        ("x.wild.nt.test", "A", "TXT RRSIG NSEC"),
        ("sub.nt.test", "DS", "NS RRSIG NSEC"),
        ("itself.nt.test", "DS", "NS RRSIG NSEC"),
    )

    def test_nodata(self) -> None:
        """The NSEC has the types that the name has, and the section is signed."""
        for name, type_, types in self.ROWS:
            response = ask_signed(WORLD, name, type_)
            self.assertEqual((response.rcode(), response.answer), (0, []))
            self.assertEqual((type_, *denial(response)), (type_, f"{name}.", types))
            self.assertEqual(check_signatures(response.authority), set())

    def test_nxdomain(self) -> None:
        """A name that does not exist is said to have NXNAME alone; NXDOMAIN is for those who understand both."""
        for name in ("ip4256-1-1-1.nt.test", "x.Pool.nt.test"):
            for compact_ok, rcode in ((False, dns.rcode.NOERROR), (True, dns.rcode.NXDOMAIN)):
                response = ask_signed(WORLD, name, compact_ok=compact_ok)
                self.assertEqual((response.rcode(), response.answer), (rcode, []))
                self.assertEqual(denial(response), (f"{name}.", "RRSIG NSEC NXNAME"))
                self.assertEqual(check_signatures(response.authority), set())
                self.assertEqual(response.ednsflags, dns.flags.DO | (CO if compact_ok else 0))

    def test_longest_names(self) -> None:
        """A name without room for another label in front is denied all the same, whether it exists or not."""
        below = ".".join(["x" * 63, "y" * 63, "z" * 63])
        for length in (50, 51, 52, 53):  # of a label; with 53 the name has 255 octets
            for label, types in (("n" * length, "RRSIG NSEC"), ("ip4" + "n" * (length - 3), "RRSIG NSEC NXNAME")):
                response = ask_signed(WORLD, f"{label}.{below}.nt.test")
                self.assertEqual(check_signatures(response.authority), set())
                self.assertEqual(response.authority[2][0].to_text().partition(" ")[2], types)

    def test_behind_an_alias(self) -> None:
        """What an alias leads to is denied, not the alias."""
        response = ask_signed(WORLD, "gone.nt.test")
        self.assertEqual(without_signatures(response.answer), ["gone.nt.test. 300 IN CNAME ip4256-1-1-1.nt.test."])
        self.assertEqual(denial(response), ("ip4256-1-1-1.nt.test.", "RRSIG NSEC NXNAME"))
        response = ask_signed(WORLD, "www.nt.test", "TXT")
        self.assertEqual(denial(response), ("ns1.nt.test.", "A AAAA RRSIG NSEC"))
        self.assertEqual(check_signatures(response.answer + response.authority), set())

    def test_short_life(self) -> None:
        """The denial of a challenge is forgotten as soon as the SOA says, or the next one would be denied with it."""
        response = ask_signed(WORLD, "_acme-challenge.ip41-2-3-4.nt.test", "TXT")
        self.assertEqual({rrset.ttl for rrset in response.authority}, {5})

    def test_what_signing_adds_to_a_name(self) -> None:
        """NSEC and RRSIG are answered where a name exists, beside an alias too; of the signatures one (RFC 8482)."""
        response = ask_signed(WORLD, "www.nt.test", "NSEC")
        self.assertEqual(
            without_signatures(response.answer), ["www.nt.test. 60 IN NSEC \\000.www.nt.test. CNAME RRSIG NSEC"]
        )
        self.assertEqual(check_signatures(response.answer), set())
        for name, covered in (("nt.test", "SOA"), ("www.nt.test", "CNAME"), ("nothing.nt.test", "NSEC")):
            response = ask_signed(WORLD, name, "RRSIG")
            (rrset,) = response.answer
            self.assertEqual([dns.rdatatype.to_text(rrset.covers), len(rrset)], [covered, 1])
        for type_ in ("NSEC", "RRSIG"):
            response = ask_signed(WORLD, "ip4256-1-1-1.nt.test", type_)
            self.assertEqual((response.answer, denial(response)[1]), ([], "RRSIG NSEC NXNAME"))
            self.assertEqual(ask_signed(WORLD, "x.sub.nt.test", type_).answer, [])

    def test_nxname_is_no_question(self) -> None:
        """NXNAME is a word of proofs: a question for it is malformed (RFC 9824 §3.5), signed or not."""
        for world in (WORLD, UNSIGNED):
            response = ask_signed(world, "nt.test", "TYPE128")
            self.assertEqual((response.rcode(), response.answer, response.authority), (dns.rcode.FORMERR, [], []))


class ReferralTests(SynchronousTestCase):
    """What a delegation has the say over is not signed; whether it is signed itself is."""

    def test_unsigned_child(self) -> None:
        """NS and glue are bare, and the NSEC proves that there is no DS."""
        for name in ("sub.nt.test", "x.y.sub.nt.test"):
            response = ask_signed(WORLD, name)
            self.assertEqual(denial(response), ("sub.nt.test.", "NS RRSIG NSEC"))
            self.assertEqual(check_signatures(response.authority), {("sub.nt.test.", "NS")})
            self.assertEqual(check_signatures(response.additional), {("ns.sub.nt.test.", "A")})
            self.assertFalse(response.flags & dns.flags.AA)

    def test_glue_beside_an_answer(self) -> None:
        """A name server of the zone below a delegation has an address that is the child's to sign."""
        zone = parse_zone(
            "@ 60 SOA a.sub h 1 2 3 4 60\n@ 60 NS a.sub\nsub 60 NS a.sub\na.sub 60 A 192.0.2.1\n", ORIGIN, "f"
        )
        response = ask_signed(replace(UNSIGNED, zone=with_keys(zone, [KEY], lambda: NOW)), "nt.test", "NS")
        self.assertEqual(check_signatures(response.answer), set())
        self.assertEqual(check_signatures(response.additional), {("a.sub.nt.test.", "A")})

    def test_signed_child(self) -> None:
        """A DS of the zone file takes the place of the proof."""
        response = ask_signed(WORLD, "x.secure.nt.test")
        self.assertEqual([rrset.rdtype for rrset in response.authority], [dns.rdatatype.NS, dns.rdatatype.DS, 46])
        self.assertEqual(check_signatures(response.authority), {("secure.nt.test.", "NS")})


class SizeTests(SynchronousTestCase):
    """UDP answers keep within what the resolver takes."""

    def test_whole_or_truncated(self) -> None:
        """A set comes with its signature, or the answer is TC without any record; what is beside it gives way."""
        for payload in (512, 700, 1232, 4096):
            for name, type_ in PositiveTests.NAMES:
                response = ask_signed(WORLD, name, type_, udp=True, payload=payload)
                self.assertLessEqual(len(response.to_wire()), min(payload, 1232))
                if response.flags & dns.flags.TC:
                    self.assertEqual((response.answer, response.authority, response.additional), ([], [], []))
                self.assertEqual(check_signatures(response.answer), set())
        self.assertTrue(ask_signed(WORLD, "huge.nt.test", "TXT", udp=True).flags & dns.flags.TC)


class UntouchedTests(SynchronousTestCase):
    """What must not be signed."""

    def test_not_the_zone(self) -> None:
        """Refusals, other classes and another version of EDNS have nothing to sign."""
        world = replace(WORLD, identity=Identity(b"v", b"s"))
        plain = replace(UNSIGNED, identity=Identity(b"v", b"s"))
        for name, type_, class_ in (
            ("example.org", "A", "IN"),
            ("nt.test", "AXFR", "IN"),
            ("version.bind", "TXT", "CH"),
            ("nt.test", "A", "HS"),
        ):
            packet = dns.message.make_query(name, type_, class_, want_dnssec=True).to_wire()
            self.assertEqual(*(respond(packet, each, 0.0, udp=True) for each in (world, plain)))
        packet = dns.message.make_query("nt.test", "A", use_edns=1, ednsflags=dns.flags.DO).to_wire()
        self.assertEqual(*(respond(packet, each, 0.0, udp=True) for each in (world, plain)))

    def test_keys_are_public(self) -> None:
        """Who asks for the keys without DO gets them, without a signature."""
        query = dns.message.make_query("nt.test", "DNSKEY")
        response = dns.message.from_wire(respond(query.to_wire(), WORLD, 0.0, udp=True))
        self.assertEqual(response.answer, [dnskeys(KEY)[APEX]])

    def test_another_authority(self) -> None:
        """What was answered a moment ago is forgotten with the Authority that it was answered from."""
        world = signed_world()
        responder = Responder(world, lambda: 0.0)
        packet = dns.message.make_query("ip41-2-3-4.nt.test", "A", want_dnssec=True).to_wire()

        def answers() -> int:
            for _ in range(3):
                response = responder.respond(packet, udp=True, source=b"\x7f\0\0\1")
            return len(dns.message.from_wire(response or b"").answer)

        self.assertEqual(answers(), 2)
        responder.authority = replace(world, sources=(Ip4Source(60, lambda address: False),))
        self.assertEqual(answers(), 0)

    def test_challenges_come_and_go(self) -> None:
        """A challenge is seen the moment it is set and the moment it is removed, over UDP too."""
        table = ChallengeTable()
        responder = Responder(signed_world(table), lambda: 0.0)
        packet = dns.message.make_query("_acme-challenge.ip41-2-3-4.nt.test", "TXT", want_dnssec=True).to_wire()
        challenge = Challenge(parse_name("ip41-2-3-4.nt.test"), VALUE.encode())

        def values() -> list[str]:
            response = dns.message.from_wire(responder.respond(packet, udp=True, source=b"\x7f\0\0\1") or b"")
            self.assertEqual(check_signatures(response.answer), set())
            return without_signatures(response.answer)

        self.assertEqual(values(), [])
        table.add(challenge, 0.0)
        self.assertEqual(len(values()), 1)
        table.remove(challenge)
        self.assertEqual(values(), [])


WORDS = """
ip41-2-3-4 IP4255-255-255-255 ip4256-1-1-1 ip41-2-3 ip6--1 ip62001-DB8--0 ip6xyz pool proof www gone away made loop wild
* sub secure ns deep under _acme-challenge ns1 filled alias many huge big mixed 1-2-3-4 x
"""
TYPES = "A AAAA TXT NS SOA MX CNAME DS ANY CAA HTTPS SRV NSEC RRSIG DNSKEY CDS TYPE65400"
LABELS = st.one_of(
    st.sampled_from(WORDS.split()),
    st.just(PEER_LABEL),
    st.from_regex(r"(ip4[0-9-]{5,12}|ip6[0-9a-f-]{2,8}|p[a-z0-9]{1,20}|[a-zA-Z0-9_]{1,10})", fullmatch=True),
)
QUESTIONS = st.tuples(
    st.lists(LABELS, max_size=3).map(lambda labels: ".".join([*labels, "nt.test"])), st.sampled_from(TYPES.split())
)


class AnyQuestionTests(SynchronousTestCase):
    """For whatever is asked."""

    @settings(max_examples=400, deadline=None)
    @given(QUESTIONS, st.booleans())
    @example(("www.nt.test", "A"), False)
    @example(("gone.nt.test", "A"), True)
    @example(("sub.nt.test", "A"), False)
    def test_signed_answers_hold(self, question: tuple[str, str], compact_ok: bool) -> None:
        """All of it validates, it says what the unsigned answer says, and what is denied is not there."""
        name, type_ = question
        signed = ask_signed(WORLD, name, type_, compact_ok=compact_ok)
        plain = ask_signed(UNSIGNED, name, type_, compact_ok=compact_ok)
        if type_ != "RRSIG":  # that alone stands without what it signs
            self.assertEqual(check_signatures(signed.answer), set())
        is_referral = any(r.rdtype == dns.rdatatype.NS for r in signed.authority)
        bare = check_signatures(signed.authority)
        self.assertEqual({type_ for _, type_ in bare}, {"NS"} if is_referral else set())
        if type_ in FOR_SIGNING:
            return
        self.assertEqual(without_signatures(signed.answer), without_signatures(plain.answer))
        self.assertEqual(without_signatures(signed.authority, "NSEC", "DS"), rows(plain.authority))
        self.assertEqual(without_signatures(signed.additional), rows(plain.additional))
        if plain.rcode() == signed.rcode():
            self.assertNotIn(" NXNAME", "".join(rows(signed.authority)) if not compact_ok else "")
        else:
            self.assertEqual((plain.rcode(), signed.rcode()), (dns.rcode.NXDOMAIN, dns.rcode.NOERROR))
        if plain.authority and not is_referral:
            types = denial(signed)[1].split()
            self.assertEqual("NXNAME" in types, plain.rcode() == dns.rcode.NXDOMAIN)
            self.assertFalse({type_, "CNAME"} & set(types))
            self.assertTrue({"RRSIG", "NSEC"} <= set(types))

    @settings(max_examples=300, deadline=None)
    @given(QUESTIONS, st.sampled_from((-1, 0)), st.booleans())
    def test_nothing_without_do(self, question: tuple[str, str], edns: int, udp: bool) -> None:
        """Without DO the answer has the bytes that it would have without a key, but for the keys themselves."""
        name, type_ = question
        if type_ in FOR_SIGNING:
            return
        packet = dns.message.make_query(name, type_, use_edns=edns, ednsflags=CO if edns >= 0 else 0).to_wire()
        self.assertEqual(respond(packet, WORLD, 0.0, udp=udp), respond(packet, UNSIGNED, 0.0, udp=udp))

    @settings(max_examples=300, deadline=None)
    @given(QUESTIONS, st.sampled_from((512, 1232, 4096)), st.booleans(), st.integers(0, 65535), st.booleans())
    def test_what_is_remembered(
        self, question: tuple[str, str], payload: int, compact_ok: bool, id_: int, udp: bool
    ) -> None:
        """An answer that is remembered has the bytes of one that is made, whatever case and ID the query has."""
        flags = dns.flags.DO | (CO if compact_ok else 0)

        def packet(name: str, number: int) -> bytes:
            query = dns.message.make_query(name, question[1], use_edns=0, ednsflags=flags, payload=payload)
            query.id = number
            return query.to_wire()

        remembering, other = packet(question[0], id_), packet(question[0].swapcase(), id_ ^ 0x5A5A)
        signer = WORLD.zone.signer
        assert signer is not None
        signer.answers.clear()
        self.assertIsNone(signer.answers.find(other, 0.0))
        made = respond(other, WORLD, 0.0, udp=udp)
        if (found := signer.answers.find(remembering, 0.0)) is not None:
            self.assertEqual(found, respond(remembering, WORLD, 0.0, udp=not udp))
            self.assertEqual(signer.answers.find(other, 0.0), made)
        else:
            self.assertTrue(len(made) > 512 or made[2] & 2 or "_acme-challenge" in question[0])
