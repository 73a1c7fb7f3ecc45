"""What the broker counts, as Prometheus reads it."""

from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.broker.metrics import BrokerCounters

DURATION = "coredns_forge_acme_http_request_duration_seconds"
INFLIGHT = "coredns_forge_acme_http_requests_inflight"
HANDLER = 'handler="/v1/_acme-challenge"'


class BrokerCountersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counters = BrokerCounters()

    def told(self, name: str) -> dict[str, float]:
        """The samples of a metric by their labels."""
        registry = CollectorRegistry()
        registry.register(self.counters)
        lines = [line for line in generate_latest(registry).decode().splitlines() if line.startswith(name)]
        return {label: float(value) for label, _, value in (line[len(name) :].rpartition(" ") for line in lines)}

    def test_durations(self) -> None:
        """Each answer is in the buckets of its method and status, whose bounds are p2p-forge's, as Go writes them."""
        for method, status, seconds in (("POST", 200, 0.1), ("POST", 200, 0.75), ("POST", 200, 40), ("GET", 401, 0)):
            self.counters.challenge_answered(method, status, seconds)
        told = self.told(DURATION)
        expected = {"0.1": 1, "0.5": 1, "1": 2, "2": 2, "5": 2, "8": 2, "10": 2, "20": 2, "30": 2, "+Inf": 3}
        labels = f'code="200",{HANDLER}'
        found = {bound: told[f'_bucket{{{labels},le="{bound}",method="POST"}}'] for bound in expected}
        self.assertEqual(found, expected)
        self.assertEqual(told[f'_sum{{{labels},method="POST"}}'], 40.85)
        self.assertEqual(told[f'_count{{code="401",{HANDLER},method="GET"}}'], 1)

    def test_any_method(self) -> None:
        """A client may send any word, and a metric must not."""
        for method in ("BREW", "post", "\xff" * 1000):
            self.counters.challenge_answered(method, 400, 0.0)
        told = self.told(f"{DURATION}_count")
        self.assertEqual(told, {f'{{code="400",{HANDLER},method="OTHER"}}': 3})

    def test_inflight(self) -> None:
        """Requests that are there and have neither an answer nor been given up."""
        for expected in (1, 2):
            self.counters.challenge_asked()
            self.assertEqual(self.told(INFLIGHT), {f"{{{HANDLER}}}": expected})
        for expected in (1, 0):
            self.counters.challenge_over()
            self.assertEqual(self.told(INFLIGHT), {f"{{{HANDLER}}}": expected})
