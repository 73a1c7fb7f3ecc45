"""The limits in front of whole queries: what comes out on the wire."""

from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.rcode
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.limits.build import build_gate
from nodetrust.dns.limits.cookies import Cookies
from nodetrust.dns.limits.gate import MAX_AMPLIFICATION, Gate
from nodetrust.dns.limits.rates import Decision, RateLimiter
from nodetrust.dns.respond import Responder
from nodetrust.dns.settings import DnsSettings
from nodetrust.settings import ZoneName, build
from tests.dns.example import authority

SOURCE = b"\xc0\0\2\1"
CLIENT = b"clientcl"
RATE = 5
BURST = 13  # two and a half seconds of the rate, and the query that finds the bucket full


class GateTests(SynchronousTestCase):
    """`Responder` with a `Gate`."""

    def setUp(self) -> None:
        self.clock, self.wall = Clock(), 1.7e9
        cookies = Cookies(lambda _: bytes(16))
        gate = Gate(RateLimiter(RATE, slip=1), cookies, lambda: self.wall)
        self.responder = Responder(authority(), self.clock.seconds, gate)

    def ask(
        self, name: str = "ip41-2-3-4.nt.test", type_: str = "A", cookie: bytes | None = None, udp: bool = True
    ) -> dns.message.Message:
        options = [] if cookie is None else [dns.edns.GenericOption(10, cookie)]
        query = dns.message.make_query(name, type_, options=options, use_edns=0)
        response = self.responder.respond(query.to_wire(), udp=udp, source=SOURCE)
        assert response is not None
        return dns.message.from_wire(response)

    def cookie_of(self, response: dns.message.Message) -> bytes:
        (option,) = response.options
        return option.to_wire()

    def flood(self) -> None:
        for _ in range(RATE + BURST):
            self.ask()

    def test_truncated_over_the_limit(self) -> None:
        """Over the limit a query gets its question back with TC and AA and no records, and never more octets."""
        self.flood()
        for type_ in ("A", "TXT", "ANY"):
            query = dns.message.make_query("ip41-2-3-4.nt.test", type_, use_edns=0).to_wire()
            response = self.responder.respond(query, udp=True, source=SOURCE)
            assert response is not None
            read = dns.message.from_wire(response)
            self.assertTrue(read.flags & dns.flags.TC and read.flags & dns.flags.AA)
            self.assertEqual((read.answer, read.authority, read.rcode()), ([], [], dns.rcode.NOERROR))
            self.assertEqual(len(response), len(query))
        self.assertEqual(self.responder.counters.slipped, 3)

    def test_dropped_over_the_limit(self) -> None:
        """Without slip there is silence, for broken queries too."""
        self.responder.gate = Gate(RateLimiter(RATE, slip=0))
        packets = [dns.message.make_query("nt.test", "SOA").to_wire(), bytes(12)]
        for _ in range(RATE + BURST):
            self.responder.respond_all(packets[:1], [SOURCE])
        self.assertEqual(self.responder.respond_all(packets, [SOURCE] * 2), [None, None])
        self.assertEqual(self.responder.counters.limited, 2)

    def test_tcp_is_not_limited(self) -> None:
        """Nobody can forge the address of a connection."""
        self.flood()
        self.assertTrue(self.ask(udp=False).answer)

    def test_a_cookie_lifts_the_limit(self) -> None:
        """Who has heard our cookie, even in a truncated answer, is not limited any more; a forged one helps nobody."""
        self.flood()
        refused = self.ask(cookie=CLIENT)
        self.assertTrue(refused.flags & dns.flags.TC)
        cookie = self.cookie_of(refused)
        for _ in range(50):
            self.assertTrue(self.ask(cookie=cookie).answer)
        self.assertFalse(self.ask(cookie=CLIENT + bytes(16)).answer)
        self.assertFalse(self.ask().answer)
        self.wall += 3601
        self.assertFalse(self.ask(cookie=cookie).answer)

    def test_a_cookie_costs_the_neighbours_nothing(self) -> None:
        """However much is asked with a valid cookie, quietly or not, everything is left for those without."""
        cookie = self.cookie_of(self.ask(cookie=CLIENT))
        self.clock.advance(60)
        for _ in range(200):
            self.assertTrue(self.ask(cookie=cookie).answer)
        self.assertEqual([bool(self.ask().answer) for _ in range(RATE + BURST)], [True] * (RATE + BURST))
        for _ in range(200):
            self.assertTrue(self.ask(cookie=cookie).answer)
        self.assertFalse(self.ask().answer)
        self.clock.advance(1.01 / RATE)
        self.ask(cookie=cookie)
        self.assertTrue(self.ask().answer)

    def test_workers_share_the_rate(self) -> None:
        """Each of N processes gives a source an N-th, since its ports lead it to all of them; none gives nothing."""
        for workers, share in ((1, RATE), (2, 3), (3, 2), (64, 1)):
            values = {"zone": ZoneName.parse("nt.test"), "state": Path(self.mktemp())}
            settings = build(DnsSettings, {**values, "rate_limit": RATE, "workers": workers})
            decisions = build_gate(settings, bytes(32)).decide_all([SOURCE] * 1000, 100.0)
            self.assertEqual(decisions.count(Decision.ANSWER), share)

    def test_cookies_are_given(self) -> None:
        """Who asks with a cookie gets one, over TCP too, with any answer; others get none."""
        for name, type_ in (("ip41-2-3-4.nt.test", "A"), ("nt.test", "A"), ("ip4x.nt.test", "A"), ("example", "A")):
            for udp in (True, False):
                cookie = self.cookie_of(self.ask(name, type_, CLIENT, udp))
                self.assertEqual((len(cookie), cookie[:8]), (24, CLIENT))
        self.assertEqual(self.ask().options, ())

    def test_what_cannot_be_a_cookie(self) -> None:
        """RFC 7873 §5.2.2: FORMERR."""
        for size in (0, 4, 7, 9, 15, 41):
            self.clock.advance(60)
            self.assertEqual(self.ask(cookie=bytes(size)).rcode(), dns.rcode.FORMERR, size)

    def test_brief(self) -> None:
        """Between the rate and the limit no answer is more than two and a half times its query, on either path."""
        self.responder.gate = Gate(RateLimiter(RATE, slip=1), None)
        for _ in range(RATE):
            self.ask()
        questions = [("nt.test", "NS"), ("nt.test", "A"), ("a.nt.test", "SOA"), ("big.nt.test", "TXT")]
        for name, type_ in [*questions, ("ip4x.nt.test", "A")]:
            query = dns.message.make_query(name, type_).to_wire()
            response = self.responder.respond(query, udp=True, source=SOURCE)
            assert response is not None
            self.assertLessEqual(len(response), MAX_AMPLIFICATION * len(query), (name, type_))
        self.assertEqual(self.responder.counters.slipped, 0)
        self.assertTrue(self.ask().answer)
