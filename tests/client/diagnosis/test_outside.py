"""Which WSS addresses are checked, and what is said of them."""

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.client.diagnosis.outside import judge_checked, judge_unanswered, named_wss, own_wss
from nodetrust.client.diagnosis.steps import Outcome
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.messages import CheckFault
from nodetrust.names import certificate_names, name_for_peer
from nodetrust.reachability.ask import Checked
from nodetrust.reachability.outcome import REACHED
from nodetrust.reachability.outcome import Outcome as Reach
from nodetrust.settings import HostPort

ZONE = "nt.example.org"
PEER, SERVER = (PrivateKey.generate().peer_id for _ in range(2))
V4, V6 = ip_address("8.8.8.8"), ip_address("2606:4700::1")
PLACE = named_wss(HostPort("8.8.8.8", 443), (), PEER, ZONE)


class AddressTests(SynchronousTestCase):
    def test_of_a_client(self) -> None:
        """Each proven address that the certificate names."""
        names = certificate_names(PEER, [V4], ZONE, "addresses")
        (address,) = own_wss([V4, V6], names, PEER, 4443)
        self.assertEqual(str(address), f"/dns4/ip48-8-8-8.{ZONE}/tcp/4443/tls/ws/p2p/{PEER}")

    def test_of_a_place(self) -> None:
        """By the name in the certificate if it has one, else in the zone; a name stays what it is."""
        wild = certificate_names(PEER, [], ZONE, "peer")
        for host, names, expected in (
            ("8.8.8.8", (), f"/dns4/ip48-8-8-8.{ZONE}/"),
            ("8.8.8.8", wild, f"/dns4/ip48-8-8-8.{name_for_peer(PEER, ZONE)}/"),
            ("2606:4700::1", (), f"/dns6/ip62606-4700--1.{ZONE}/"),
            (f"ip62606-4700--1.{ZONE}", (), f"/dns6/ip62606-4700--1.{ZONE}/"),
            ("node.example", (), "/dns4/node.example/"),
        ):
            self.assertTrue(str(named_wss(HostPort(host, 1), names, PEER, ZONE)).startswith(expected), expected)


class JudgementTests(SynchronousTestCase):
    def test_outcomes(self) -> None:
        """Reached, not reached, and not dialled, which says nothing."""
        for outcome, expected in (
            (REACHED, Outcome.OK),
            (Reach(CheckFault.TIMED_OUT, "no answer"), Outcome.FAIL),
            (Reach(CheckFault.NOT_ALLOWED), Outcome.WARN),
        ):
            step = judge_checked(Checked(PLACE, outcome, SERVER))
            self.assertEqual((step.title, step.outcome), ("WSS on 8.8.8.8:443", expected))
            self.assertEqual(bool(step.advice), expected is not Outcome.OK)

    def test_nobody_answers(self) -> None:
        """Each address that no server spoke of, with the reason if there is one."""
        other = named_wss(HostPort("8.8.4.4", 443), (), PEER, ZONE)
        (step,) = judge_unanswered([PLACE, other], [Checked(PLACE, REACHED, SERVER)], None)
        self.assertEqual((step.title, step.outcome), ("WSS on 8.8.4.4:443", Outcome.SKIP))
        (step,) = judge_unanswered([PLACE], [], ValueError("too old"))
        self.assertEqual(step.found, "nobody has tried: too old")
