"""The counters for Prometheus, on an address of the operator's choice: `http://HOST:PORT/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from nodetrust.dns.errors import CannotBind
from nodetrust.dns.observe.counters import LATENCIES_US, Counters
from nodetrust.lists.files import ListState
from nodetrust.lists.metrics import ListCollector
from nodetrust.settings import HostPort
from nodetrust.web import metrics as web_metrics

_PREFIX = "nodetrust_dns_"
_LABELLED = {
    "type_": ("queries", "Answered queries by the type they ask for", "type"),
    "kind_": ("answers", "Answers by what they say", "kind"),
    "over_": ("transport_queries", "Answered queries by transport", "transport"),
}
_FORGE = {
    "autotls_": (
        "coredns_forge_ipparser_responses",
        "Answers about addresses of peers, and about peers, at AutoTLS names",
    ),
    "dns01_": ("coredns_forge_acme_dns01_responses", "Answers about challenges at AutoTLS names"),
}
_PLAIN = {
    "dropped": "Messages that are no queries, and got no answer",
    "unsent": "Answers that the operating system did not take",
    "slipped": "Queries over the rate limit that were sent to TCP",
    "limited": "Queries over the rate limit that got no answer",
    "denied": "Addresses of a denylist that were asked for",
    "tcp_accepted": "TCP connections accepted",
    "tcp_evicted": "TCP connections closed to make room for others",
    "challenges_added": "ACME challenges set",
    "challenges_removed": "ACME challenges removed",
    "challenges_refused": "ACME challenges refused",
}

Gauges = Mapping[str, tuple[str, float]]
"""By name without prefix: what it is, and what it is now."""


class DnsCollector(Collector):
    """Reads the counters when it is scraped, so that counting costs nothing but an addition."""

    def __init__(self, counters: Callable[[], Counters], gauges: Callable[[], Gauges]) -> None:
        self._counters = counters
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        """All metrics, with the values of now."""
        counters = self._counters()
        for prefix, (name, help_, label) in _LABELLED.items():
            family = CounterMetricFamily(_PREFIX + name, help_, labels=[label])
            for field in fields(Counters):
                if field.name.startswith(prefix):
                    family.add_metric([field.name.removeprefix(prefix)], getattr(counters, field.name))
            yield family
        for prefix, (name, help_) in _FORGE.items():
            family = CounterMetricFamily(name, help_, labels=["type"])
            for field in fields(Counters):
                if field.name.startswith(prefix):
                    type_ = field.name.removeprefix(prefix).upper().replace("_", "-")
                    family.add_metric([type_], getattr(counters, field.name))
            yield family
        for name, help_ in _PLAIN.items():
            yield CounterMetricFamily(_PREFIX + name, help_, value=getattr(counters, name))
        yield _latency(counters)
        for name, (help_, value) in self._gauges().items():
            yield GaugeMetricFamily(_PREFIX + name, help_, value=value)


def _latency(counters: Counters) -> Metric:
    buckets, total = [], 0
    for bound in LATENCIES_US:
        total += getattr(counters, f"within_{bound}us")
        buckets.append((str(bound / 1e6), total))
    buckets.append(("+Inf", total + counters.later))
    help_ = "From when queries were read to when their answers were ready"
    return HistogramMetricFamily(
        _PREFIX + "latency_seconds", help_, buckets=buckets, sum_value=counters.microseconds / 1e6
    )


def serve_metrics(
    reactor: Any,
    place: HostPort,
    counters: Callable[[], Counters],
    gauges: Callable[[], Gauges],
    lists: Callable[[], Sequence[ListState]],
) -> IListeningPort:
    """Answer at `place` over HTTP. Raises CannotBind with the system's reason."""
    try:
        return web_metrics.serve_metrics(reactor, place, DnsCollector(counters, gauges), ListCollector(lists))
    except CannotListenError as error:
        raise CannotBind(f"cannot listen on {place} for metrics: {error.socketError}") from error
