"""Who may set challenges, and for which names."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.challenges.rights import Rights, decide
from nodetrust.dns.challenges.table import Challenge
from nodetrust.dns.errors import ChallengeRefused
from nodetrust.dns.records import parse_name
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.messages import E_NOT_AUTHORIZED, E_OTHER
from tests.dns.example import ORIGIN, PEER_LABEL

VALUE = "jP5hwrZwCbP_qeeET_qAa9pgG0YulNaR0ivruESzCrE"
FREE, CONFINED, STRANGER = (PrivateKey.from_seed(bytes([number] * 32)).peer_id for number in range(1, 4))


class RightsTests(SynchronousTestCase):
    """`Rights`: who may set them."""

    rights = Rights(frozenset({FREE, CONFINED}), {CONFINED: (parse_name("a.nt.test"), parse_name("b.nt.test"))})

    def test_admins_only(self) -> None:
        """A peer that the configuration does not list is not authorized."""
        for peer in (FREE, CONFINED):
            self.rights.check_caller(peer)
        error = self.assertRaises(ChallengeRefused, self.rights.check_caller, STRANGER)
        self.assertEqual(error.error, E_NOT_AUTHORIZED)

    def test_scopes(self) -> None:
        """An admin with scopes may set challenges for these names and those below; one without, for all."""
        for name in ("a.nt.test", "ip41-2-3-4.a.nt.test", "b.nt.test", "x.y.b.nt.test"):
            for peer in (FREE, CONFINED):
                self.rights.check_scope(peer, parse_name(name))
        for name in ("nt.test", "ip41-2-3-4.nt.test", "xa.nt.test", "a.nt.test.nt.test", "c.nt.test"):
            self.rights.check_scope(FREE, parse_name(name))
            error = self.assertRaises(ChallengeRefused, self.rights.check_scope, CONFINED, parse_name(name))
            self.assertEqual(error.error, E_NOT_AUTHORIZED)
            self.assertIn("may only set challenges within a.nt.test and b.nt.test", str(error))


class DecisionTests(SynchronousTestCase):
    """`decide`: which challenges there are."""

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

    def test_further_names(self) -> None:
        """Names of the zone that the operator has listed may have challenges, exactly these, whatever they spell."""
        names = frozenset(map(parse_name, ("issue.nt.test", "proof.nt.test", "nt.test")))
        for fqdn in ("issue.nt.test", "proof.nt.test", "nt.test"):
            self.assertEqual(decide(ORIGIN, fqdn, VALUE, names), Challenge(parse_name(fqdn), VALUE.encode()))
        for fqdn in ("www.issue.nt.test", "xissue.nt.test", "proof2.nt.test", "Issue.nt.test", "issue.nt.test."):
            self.assertRaises(ChallengeRefused, decide, ORIGIN, fqdn, VALUE, names)

    def test_values(self) -> None:
        """A value is the base64url of a SHA-256, and nothing else."""
        for value in ("", VALUE[:-1], VALUE + "A", VALUE + "\n", VALUE[:-1] + "=", VALUE[:-1] + "+", VALUE[:-1] + "é"):
            error = self.assertRaises(ChallengeRefused, decide, ORIGIN, "ip41-2-3-4.nt.test", value)
            self.assertEqual((error.error, str(error)), (E_OTHER, "the value is not 43 characters of base64url"))

    @given(st.text(max_size=80), st.text(max_size=50))
    def test_garbage(self, fqdn: str, value: str) -> None:
        """Any text is refused as a sentence, not as a traceback."""
        self.assertRaises(ChallengeRefused, decide, ORIGIN, fqdn, value)
