"""What Prometheus is told of the lists."""

from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry
from twisted.trial.unittest import SynchronousTestCase

from nodetrust.lists.files import ListState
from nodetrust.lists.metrics import ListCollector


class ListCollectorTests(SynchronousTestCase):
    def test_exposed(self) -> None:
        """Each list under its name; one that was never fetched is empty, and of no time."""
        states = (
            ListState("/etc/deny.list", False, 3, 1000.5),
            ListState("/etc/allow.list", True, 1, 2000.0),
            ListState("https://lists.example/drop", False, 0, None),
        )
        registry = CollectorRegistry()
        registry.register(ListCollector(lambda: states))
        told = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
        self.assertEqual(
            told,
            [
                'coredns_forge_denylist_entries{name="/etc/deny.list",type="deny"} 3.0',
                'coredns_forge_denylist_entries{name="/etc/allow.list",type="allow"} 1.0',
                'coredns_forge_denylist_entries{name="https://lists.example/drop",type="deny"} 0.0',
                'coredns_forge_denylist_last_update_timestamp{name="/etc/deny.list"} 1000.5',
                'coredns_forge_denylist_last_update_timestamp{name="/etc/allow.list"} 2000.0',
            ],
        )
