"""The lists for Prometheus, under p2p-forge's names (its `docs/METRICS.md`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nodetrust.lists.files import ListState

_FORGE = "coredns_forge_denylist_"


class ListCollector(Collector):
    """Looks at the lists when it is scraped."""

    def __init__(self, states: Callable[[], Sequence[ListState]]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        """How many entries each list has, and of when they are."""
        entries = GaugeMetricFamily(_FORGE + "entries", "Prefixes and peers of a list", labels=["name", "type"])
        updates = GaugeMetricFamily(
            _FORGE + "last_update_timestamp", "When a list that is in force was written, or fetched", labels=["name"]
        )
        for state in self._states():
            entries.add_metric([state.name, "allow" if state.allows else "deny"], state.entries)
            if state.written_at is not None:
                updates.add_metric([state.name], state.written_at)
        yield entries
        yield updates
