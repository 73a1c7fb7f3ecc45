"""What is counted, and how Prometheus reads it."""

from dataclasses import fields

import dns.message
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import CollectorRegistry
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.dns.observe.counters import Answered, Census, Counters
from nodetrust.dns.observe.metrics import DnsCollector
from nodetrust.dns.observe.querylog import QueryLog
from nodetrust.dns.respond import Responder
from tests.dns.example import PEER_LABEL, authority

QUESTIONS = (
    ("ip41-2-3-4.nt.test", "A", 0, "type_a", "kind_data"),
    ("ip6--1.nt.test", "AAAA", -1, "type_aaaa", "kind_data"),
    (f"{PEER_LABEL}.nt.test", "TXT", 0, "type_txt", "kind_data"),
    ("ip41-2-3-4.nt.test", "AAAA", 0, "type_aaaa", "kind_nodata"),
    ("ip4x.nt.test", "MX", 0, "type_mx", "kind_nxdomain"),
    ("nt.test", "ANY", 0, "type_any", "kind_data"),
    ("a.sub.nt.test", "CAA", -1, "type_caa", "kind_referral"),
    ("big.nt.test", "TXT", -1, "type_txt", "kind_truncated"),
    ("elsewhere", "SRV", 0, "type_other", "kind_refused"),
)


class CensusTests(SynchronousTestCase):
    """`Census` and `QueryLog`, as observers of a `Responder`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.responder = Responder(authority(), self.clock.seconds)
        self.counters = self.responder.counters

    def test_types_and_kinds(self) -> None:
        """Every answer counts for one type, one kind and one transport, in a batch as alone."""
        self.responder.observers = (Census(self.counters),)
        packets = [
            dns.message.make_query(name, type_, use_edns=edns).to_wire() for name, type_, edns, _, _ in QUESTIONS
        ]
        self.responder.respond_all([*packets, b"garbage"], [b"\xc0\0\2\1"] * (len(packets) + 1))
        for packet in packets:
            self.responder.respond(packet, udp=False)
        expected: dict[str, int] = {"over_udp": len(packets), "over_tcp": len(packets)}
        for name, _, _, type_, kind in QUESTIONS:
            expected[type_] = expected.get(type_, 0) + 2
            expected[kind] = expected.get(kind, 0) + (1 if name.startswith("big") else 2)
        expected["kind_data"] += 1  # the big one over TCP
        found = {f.name: getattr(self.counters, f.name) for f in fields(Counters) if f.name[:5] in "type_kind_over_"}
        self.assertEqual({name: count for name, count in found.items() if count}, expected)
        self.assertEqual(self.counters.dropped, 1)

    def test_unreadable(self) -> None:
        """Refusals of what cannot be read are answers too."""
        self.responder.observers = (Census(self.counters),)
        self.responder.respond_all([bytes(12), b"\0\0\x10\0" + bytes(8)], [b"\xc0\0\2\1"] * 2)
        self.assertEqual((self.counters.kind_formerr, self.counters.kind_notimp, self.counters.type_other), (1, 1, 2))

    def test_latency(self) -> None:
        """What was answered together took as long for each; the bound belongs to the lower field."""
        census = Census(self.counters)
        for seconds, count in ((0.0, 3), (50e-6, 1), (51e-6, 1), (0.02, 2), (1.0, 1)):
            census(Answered([bytes(17)] * count, [bytes(17)] * count, [b""] * count, seconds, udp=True))
        found = (
            self.counters.within_50us,
            self.counters.within_100us,
            self.counters.within_50000us,
            self.counters.later,
        )
        self.assertEqual(found, (4, 1, 2, 1))
        self.assertEqual(self.counters.microseconds, 50 + 51 + 2 * 20_000 + 1_000_000)

    def test_query_log(self) -> None:
        """One line a query, readable or not, and only when it is asked for."""
        packets = [dns.message.make_query("IP41-2-3-4.nt.test", "A").to_wire(), b"garbage"]
        with capturedLogs() as silent:
            self.responder.respond_all(packets, [b"\xc0\0\2\1", bytes(15) + b"\1"])
        self.responder.observers = (QueryLog(),)
        with capturedLogs() as events:
            self.responder.respond_all(packets, [b"\xc0\0\2\1", bytes(15) + b"\1"])
        self.assertEqual(silent, [])
        found = [(e["source"], e["transport"], e["name"], e["type"], e["outcome"][:9]) for e in events]
        self.assertEqual(
            found,
            [("192.0.2.1", "UDP", "ip41-2-3-4.nt.test", 1, "rcode 0, "), ("::1", "UDP", "unreadable", 0, "no answer")],
        )


class MetricsTests(SynchronousTestCase):
    """`DnsCollector`."""

    def test_exposed(self) -> None:
        """Prometheus reads every counter once, buckets that add up, and the gauges."""
        numbers = {field.name: index + 1 for index, field in enumerate(fields(Counters))}
        registry = CollectorRegistry()
        registry.register(DnsCollector(lambda: Counters(**numbers), lambda: {"challenges": ("Challenges in force", 7)}))
        families = {f.name: f for f in text_string_to_metric_families(generate_latest(registry).decode())}
        values = {
            (sample.name, *sample.labels.values()): sample.value for f in families.values() for sample in f.samples
        }
        self.assertEqual(values["nodetrust_dns_queries_total", "aaaa"], numbers["type_aaaa"])
        self.assertEqual(values["nodetrust_dns_answers_total", "nxdomain"], numbers["kind_nxdomain"])
        self.assertEqual(values["nodetrust_dns_transport_queries_total", "tcp"], numbers["over_tcp"])
        for name in ("dropped", "unsent", "slipped", "limited", "denied", "challenges_added", "tcp_evicted"):
            self.assertEqual(values[f"nodetrust_dns_{name}_total",], numbers[name])
        self.assertEqual(values["nodetrust_dns_challenges",], 7)
        forge = "coredns_forge_ipparser_responses_total", "coredns_forge_acme_dns01_responses_total"
        for name, type_, field in (
            (forge[0], "AAAA", "autotls_aaaa"),
            (forge[0], "NODATA-HTTPS", "autotls_nodata_https"),
            (forge[0], "NODATA-PEERID-A", "autotls_nodata_peerid_a"),
            (forge[1], "TXT", "dns01_txt"),
            (forge[1], "TXT-EMPTY", "dns01_txt_empty"),
            (forge[1], "NODATA-OTHER", "dns01_nodata_other"),
        ):
            self.assertEqual(values[name, type_], numbers[field])
        latencies = [value for key, value in values.items() if key[0] == "nodetrust_dns_latency_seconds_bucket"]
        self.assertEqual(latencies, sorted(latencies))
        timed = sum(value for name, value in numbers.items() if name.startswith("within_")) + numbers["later"]
        self.assertEqual((latencies[-1], values["nodetrust_dns_latency_seconds_count",]), (timed, timed))
