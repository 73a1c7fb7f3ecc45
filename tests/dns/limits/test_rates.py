"""Response rate limiting, with the clock and the sources of the test's choice."""

from ipaddress import ip_address, ip_network

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.limits.rates import Decision, RateLimiter

SOURCE = ip_address("192.0.2.1").packed
NEIGHBOUR = ip_address("192.0.2.2").packed
STRANGER = ip_address("198.51.100.1").packed
SOURCE6 = ip_address("2001:db8:1:1::1").packed


def ask(
    limiter: RateLimiter, sources: list[bytes], seconds: float, per_second: int, start: float = 0.0
) -> list[Decision]:
    """The decisions for queries at an even pace, the sources one after the other."""
    count = int(seconds * per_second)
    return [limiter.decide(sources[n % len(sources)], start + n / per_second) for n in range(count)]


def answered(decisions: list[Decision]) -> int:
    return sum(decision <= Decision.BRIEF for decision in decisions)


class RateTests(SynchronousTestCase):
    """`RateLimiter` at 10 answers a second."""

    def setUp(self) -> None:
        self.limiter = RateLimiter(10)

    def test_quiet_sources_are_answered(self) -> None:
        """Up to its rate, a source gets whole answers for ever."""
        self.assertEqual(set(ask(self.limiter, [SOURCE], 60, 10)), {Decision.ANSWER})

    def test_floods_get_the_rate(self) -> None:
        """However much one source asks, it gets the rate, once a burst, and a first second's allowance."""
        for source in (SOURCE, SOURCE6):
            decisions = ask(self.limiter, [source], 100, 1000)
            self.assertTrue(1000 <= answered(decisions) <= 1000 + 25 + 10 + 2, answered(decisions))

    def test_slip(self) -> None:
        """Every second query over the limit is told to come over TCP; with 0 none is, with 1 each."""
        for slip, share in ((2, 0.5), (0, 0.0), (1, 1.0), (10, 0.1)):
            decisions = ask(RateLimiter(10, slip), [SOURCE], 20, 1000)
            limited = [decision for decision in decisions if decision > Decision.BRIEF]
            self.assertAlmostEqual(limited.count(Decision.SLIP) / len(limited), share, 2)

    def test_answers_get_brief_first(self) -> None:
        """Between its rate and its burst a neighbourhood gets answers that do not amplify."""
        self.assertEqual(
            [self.limiter.decide(SOURCE, 0.5) for _ in range(12)], [Decision.ANSWER] * 10 + [Decision.BRIEF] * 2
        )

    def test_others_are_not_limited(self) -> None:
        """A flood from one address or one /24 costs nobody else an answer."""
        network = [bytes((192, 0, 2, host)) for host in range(256)]
        for n in range(50_000):
            self.limiter.decide(network[n % 256], n / 5000)
            if n % 1000 == 0:
                self.assertEqual(self.limiter.decide(STRANGER, n / 5000), Decision.ANSWER)
                self.assertEqual(self.limiter.decide(SOURCE6, n / 5000), Decision.ANSWER)

    def test_neighbours_of_a_flood(self) -> None:
        """A flooding address does not use up what its /24 has."""
        ask(self.limiter, [SOURCE], 10, 1000)
        self.assertEqual(self.limiter.decide(NEIGHBOUR, 10.0), Decision.BRIEF)

    def test_ladder(self) -> None:
        """Many addresses of one prefix get together what the ladder of Knot's mod-rrl says, and no more."""
        cases = (
            ("192.0.2.0/24", 256, 32),
            ("192.0.0.0/20", 4096, 256),
            ("192.0.0.0/18", 16384, 768),
            ("2001:db8::/64", 1000, 2),
            ("2001:db8::/56", 1000, 3),
            ("2001:db8::/48", 1000, 4),
            ("2001:db8::/32", 10000, 64),
        )
        for text, count, multiplier in cases:
            network = ip_network(text)
            step = network.num_addresses // count
            sources = [network[n * step].packed for n in range(count)]
            rate = 10 * multiplier
            decisions = ask(RateLimiter(10), sources, 10, 3 * rate)
            # the rate for ten seconds, its burst, and the allowance of the first look, ten for each of its prefixes
            most = 10 * rate + 2.5 * rate + 10 * max(1, count // 256 if network.version == 4 else 1)
            self.assertTrue(10 * rate <= answered(decisions) <= most + 1, (text, answered(decisions), most))

    def test_a_pause_makes_up_for_it(self) -> None:
        """When a flood is over, its source is answered again within seconds."""
        ask(self.limiter, [SOURCE], 10, 1000)
        self.assertEqual(set(ask(self.limiter, [SOURCE], 5, 5, 13.0)), {Decision.ANSWER})

    def test_exempt(self) -> None:
        """Loopback cannot be forged from outside, and what the operator names is not limited."""
        limiter = RateLimiter(1, exempt=[ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")])
        for source in (SOURCE, SOURCE6):
            self.assertEqual(set(ask(limiter, [source], 2, 1000)), {Decision.ANSWER})
        for text in ("127.0.0.1", "::1"):
            self.assertEqual(set(ask(self.limiter, [ip_address(text).packed], 2, 1000)), {Decision.ANSWER})

    def test_mapped_addresses(self) -> None:
        """IPv4 on a socket for both families is IPv4: the sources there do not share one IPv6 prefix."""
        for host in range(256):
            for octet in range(2):
                source = bytes(10) + b"\xff\xff" + bytes((10, octet, host, 1))
                self.assertEqual(set(ask(self.limiter, [source], 0.5, 20)), {Decision.ANSWER})
        mapped = bytes(10) + b"\xff\xff" + SOURCE
        self.assertLess(answered(ask(self.limiter, [SOURCE, mapped], 10, 1000)), 150)

    def test_batches(self) -> None:
        """Queries that arrive together are decided like one after the other."""
        sources = [SOURCE, STRANGER, SOURCE6] * 40
        self.assertEqual(
            RateLimiter(10).decide_all(sources, 1.0), [self.limiter.decide(source, 1.0) for source in sources]
        )

    def test_memory(self) -> None:
        """Sources without number grow no table, and an honest one among them is still answered."""
        for n in range(200_000):
            self.limiter.decide((n * 2654435761 % (1 << 32)).to_bytes(4, "big"), n / 1e6)
        self.assertLessEqual(len(self.limiter._counts), 1 << 16)
        self.assertLessEqual(self.limiter.decide(STRANGER, 0.3), Decision.BRIEF)

    @given(st.lists(st.tuples(st.integers(0, 300), st.floats(0, 0.05)), min_size=100, max_size=400))
    @settings(max_examples=30)
    def test_never_more(self, queries: list[tuple[int, float]]) -> None:
        """In no order of queries does one address get more than allowance, burst and rate."""
        limiter, now, first, got = RateLimiter(10), 0.0, 0.0, 0
        for host, pause in queries:
            now += pause
            got += host < 150 and limiter.decide(SOURCE, now) <= Decision.BRIEF
            if host >= 150:
                limiter.decide(bytes((192, 0, 2, host % 256)), now)
        self.assertLessEqual(got, 2 * 10 * (now - first + 1) + 25 + 2)
