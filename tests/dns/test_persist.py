"""What CAs find at `_validation-persist`, and what an operator may have there."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.authority import build_authority
from nodetrust.dns.challenges.table import ChallengeTable
from nodetrust.dns.dnssec.apex import with_keys
from nodetrust.dns.fast import short_path
from nodetrust.dns.records import parse_name
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.zone.zonefile import parse_zone
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.settings import SettingsError, ZoneName, settings_from_bytes, settings_to_bytes
from tests.dns.dnssec.example import KEY, NOW, ask_signed, check_signatures
from tests.dns.dnssec.test_secure import denial
from tests.dns.example import CID, ORIGIN, PEER_LABEL, ZONE, ask, rows
from tests.dns.fast.test_path import message, question

VALUE = "ca.example; accounturi=https://ca.example/acct/1; policy=wildcard"
LONG = "other.example; accounturi=https://other.example/" + "x" * 400
NAMES = (
    "ip41-2-3-4.nt.test",
    "ip6--1.any.thing.nt.test",
    f"{PEER_LABEL}.nt.test",
    f"ip41-2-3-4.{PEER_LABEL}.nt.test",
    f"{CID}.nt.test",
    "proof.nt.test",
)
OTHERS = ("nt.test", "www.nt.test", "nothing.nt.test", "ns1.nt.test", f"x.{CID}.nt.test", "deep.under.proof.nt.test")


def settings(**changes):
    return DnsSettings(**{"zone": ZoneName("nt.test"), "challenge_names": (ZoneName("proof.nt.test"),), **changes})


def world(*values):
    zone = parse_zone(ZONE, ORIGIN, "example.zone")
    return build_authority(settings(persist=values), zone, ChallengeTable())


class PersistTests(SynchronousTestCase):
    def texts(self, world_, name):
        response = ask(world_, f"_validation-persist.{name}", "TXT", udp=False)
        self.assertEqual(response.rcode(), 0)
        return [b"".join(one.strings).decode() for rrset in response.answer for one in rrset]

    def test_every_name_that_may_have_challenges(self):
        """All values, each as one text however long it is."""
        for name in NAMES:
            self.assertEqual(self.texts(world(VALUE, LONG), name), [VALUE, LONG], name)
            self.assertEqual(self.texts(world(VALUE), name.upper()), [VALUE])

    def test_strings(self):
        """A text of more than 255 octets is split."""
        (rrset,) = ask(world(LONG), "_validation-persist.ip41-2-3-4.nt.test", "TXT").answer
        self.assertEqual([len(string) for string in rrset[0].strings], [255, len(LONG) - 255])

    def test_no_other_name(self):
        """Where no challenge may be set there is none; nor anywhere without a value."""
        for name in OTHERS:
            self.assertEqual(self.texts(world(VALUE), name), [], name)
        for name in NAMES:
            self.assertEqual(self.texts(world(), name), [], name)

    def test_what_else_is_there(self):
        """The name has no other type, and wildcards, delegations and broken labels count as everywhere."""
        response = ask(world(VALUE), "_validation-persist.ip41-2-3-4.nt.test", "A")
        self.assertEqual((response.rcode(), response.answer), (0, []))
        self.assertEqual(ask(world(VALUE), "_validation-persist.ip4256-1-1-1.nt.test", "TXT").rcode(), 3)
        self.assertEqual(ask(world(VALUE), "_validation-persist.ip41-2-3-4.sub.nt.test", "TXT").answer, [])
        self.assertEqual(
            rows(ask(world(VALUE), "ip41-2-3-4.nt.test").answer), rows(ask(world(), "ip41-2-3-4.nt.test").answer)
        )

    def test_the_short_path_steps_aside(self):
        """It answers what it answered before, and leaves these names alone."""
        path = short_path(world(VALUE))
        self.assertIsNone(path(message(question(b"_validation-persist.ip41-2-3-4.nt.test", 16))))
        self.assertIsNotNone(path(message(question(b"ip41-2-3-4.nt.test", 1))))

    def test_signed(self):
        """The records are signed, and so is the word that there are none."""
        one = world(VALUE)
        signed = replace(one, zone=with_keys(one.zone, (KEY,), lambda: NOW))
        response = ask_signed(signed, "_validation-persist.ip41-2-3-4.nt.test", "TXT")
        self.assertEqual((len(response.answer), check_signatures(response.answer)), (2, set()))
        response = ask_signed(signed, "_validation-persist.ip41-2-3-4.nt.test", "A")
        self.assertEqual(denial(response)[1], "TXT RRSIG NSEC")
        self.assertEqual(check_signatures(response.authority), set())


class SettingsTests(SynchronousTestCase):
    """What the settings of challenges may be."""

    ADMIN = PrivateKey.from_seed(b"a" * 32).peer_id

    def test_good(self):
        """Values as CAs read them, names and scopes within the zone."""
        one = settings(
            admins=(self.ADMIN,),
            admin_scopes=(f"{self.ADMIN}=a.nt.test", f"{self.ADMIN}=B.nt.test."),
            persist=(VALUE, LONG, "ca.example;accounturi=urn:x;persistUntil=1700000000"),
        )
        one.check()
        self.assertEqual(one.rights.scopes, {self.ADMIN: (parse_name("a.nt.test"), parse_name("b.nt.test"))})
        self.assertEqual(one.rights.names, {parse_name("proof.nt.test")})

    def test_workers_are_told(self):
        """They come back whole from how they are passed to a worker."""
        one = settings(admins=(self.ADMIN,), admin_scopes=(f"{self.ADMIN}=a.nt.test",), persist=(VALUE,))
        self.assertEqual(settings_from_bytes(DnsSettings, settings_to_bytes(one)), one)

    def test_bad(self):
        """Each is refused in words that name the setting."""
        for key, value, reason in (
            ("persist", "", "does not begin with"),
            ("persist", "; accounturi=https://x/", "does not begin with"),
            ("persist", "ca.example", "does not say whose account"),
            ("persist", "ca.example; accounturi=https://x/;", "empty parameter"),
            ("persist", "ca.example; accounturi=https://x/; AccountURI=https://y/", "twice"),
            ("persist", "ca.example; accounturi=x", "is not a URI"),
            ("persist", "ca.example; accounturi=https://x/ y", "is not tag=value"),
            ("persist", "ca example; accounturi=https://x/", "is not the domain name of a CA"),
            ("persist", "ca.example; accounturi=https://x/; persistUntil=tomorrow", "seconds since 1970"),
            ("persist", "ca.example; accounturi=https://ü/", "ASCII"),
            ("challenge_names", ZoneName("issue.example.org"), "of the zone nt.test"),
            ("admin_scopes", f"{self.ADMIN}=example.org", "of the zone nt.test"),
            ("admin_scopes", str(self.ADMIN), "PEER-ID=NAME"),
            ("admin_scopes", "me=a.nt.test", "admin_scopes"),
            ("admin_scopes", f"{self.ADMIN}=a..nt.test", "is not a label"),
            ("admin_scopes", f"{PrivateKey.from_seed(b'b' * 32).peer_id}=a.nt.test", "not among the admins"),
        ):
            error = self.assertRaises(SettingsError, settings(**{"admins": (self.ADMIN,), key: (value,)}).check)
            self.assertTrue(str(error).startswith(f"{key}: "), error)
            self.assertIn(reason, str(error))
