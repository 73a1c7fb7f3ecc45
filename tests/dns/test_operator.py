"""What an operator asks of a running server: lists and metrics, with several processes too."""

import time
import urllib.request
from pathlib import Path

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.dns.example import CID
from tests.dns.process import ServerProcess

DENIED, ANSWERED = "ip41-2-3-4.nt.test", "ip41-2-3-5.nt.test"
QUERIES = 20
WAIT_SECONDS = 60.0


class OperatorTests(TestCase):
    """One server with two workers."""

    timeout = 300

    async def test_lists_and_metrics(self) -> None:
        """Every worker denies what a list denies, and stops when the list does; the counters of all add up."""
        await deferToThread(self._lists_and_metrics)

    def _lists_and_metrics(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        deny = folder / "deny.list"
        deny.write_text("1.2.3.4\n")
        server = ServerProcess(folder, workers=2, deny=[str(deny)], metrics_listen="127.0.0.1:0", log_queries=True)
        self.addCleanup(server.kill)
        (self.url,) = server.logged(r"metrics are at (http://\S+)")
        for _ in range(QUERIES):
            self.assertFalse(self._has_answer(server, DENIED))
            self.assertTrue(self._has_answer(server, ANSWERED))
        self._wait_for("nodetrust_dns_denied_total", QUERIES)
        self._wait_for('nodetrust_dns_queries_total{type="a"}', 2 * QUERIES)
        self._wait_for('nodetrust_dns_answers_total{kind="nodata"}', QUERIES)
        self._wait_for('nodetrust_dns_transport_queries_total{transport="udp"}', 2 * QUERIES)
        self._wait_for("nodetrust_dns_latency_seconds_count", 2 * QUERIES)
        self._wait_for("nodetrust_dns_denied_prefixes", 1)
        self._wait_for(f'coredns_forge_denylist_entries{{name="{deny}",type="deny"}}', 1)
        for _ in range(QUERIES):
            self.assertTrue(self._has_answer(server, f"1-2-3-5.{CID}.nt.test"))
        self._wait_for('coredns_forge_ipparser_responses_total{type="A"}', QUERIES)
        end = time.monotonic() + WAIT_SECONDS
        while (logged := sum("over UDP: ip41-2-3-4.nt.test" in line for line in list(server.lines))) < QUERIES:
            self.assertLess(time.monotonic(), end, "a worker's log goes through its parent's")
            time.sleep(0.1)
        self.assertEqual(logged, QUERIES)
        deny.write_text("# nothing any more\n")
        end = time.monotonic() + WAIT_SECONDS
        while not all(self._has_answer(server, DENIED) for _ in range(QUERIES)):
            self.assertLess(time.monotonic(), end)

    def _has_answer(self, server: ServerProcess, name: str) -> bool:
        answer = server.ask(name)
        assert answer is not None
        return bool(answer.answer)

    def _wait_for(self, metric: str, value: float) -> None:
        """Workers report every second."""
        end = time.monotonic() + WAIT_SECONDS
        while (found := self._metric(metric)) < value:
            self.assertLess(time.monotonic(), end, f"{metric} is {found}")
            time.sleep(0.1)
        self.assertEqual(found, value, metric)

    def _metric(self, name: str) -> float:
        with urllib.request.urlopen(self.url, timeout=5) as response:
            lines = response.read().decode().splitlines()
        return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + " "))
