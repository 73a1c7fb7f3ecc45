"""What the broker counts, under p2p-forge's names where it counts the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

_BEGINNINGS = {
    "kubo/": "kubo",
    "go-ipfs/": "go-ipfs",
    "helia/": "helia",
    "libp2p/": "js-libp2p",
    "curl/": "curl",
    "Mozilla/": "browser",
}
_WORDS = {
    "js-libp2p/": "js-libp2p",
    "go-libp2p": "go-libp2p",
    "Go-http-client": "go-http-client",
    "python-requests": "python-requests",
}


def agent_of(user_agent: str) -> str:
    """One of a few words, as p2p-forge finds it: a client may say anything, and a metric must not."""
    begun = (agent for begin, agent in _BEGINNINGS.items() if user_agent.startswith(begin))
    within = (agent for word, agent in _WORDS.items() if word in user_agent)
    return next(begun, None) or next(within, None) or ("node" if user_agent == "node" else "other")


class BrokerCounters(Collector):
    """Counts since the start."""

    def __init__(self) -> None:
        self._probes: Counter[tuple[str, str]] = Counter()
        self._answers: Counter[str] = Counter()

    def probed(self, user_agent: str, *, reached: bool) -> None:
        """A node was dialled."""
        self._probes["ok" if reached else "error", agent_of(user_agent)] += 1

    def answered(self, status: int) -> None:
        """A request has its answer."""
        self._answers[str(status)] += 1

    def collect(self) -> Iterator[Metric]:
        """All metrics, with the values of now."""
        probes = CounterMetricFamily(
            "coredns_forge_acme_libp2p_probe", "Dial-backs before a registration", labels=["result", "agent"]
        )
        for (result, agent), count in sorted(self._probes.items()):
            probes.add_metric([result, agent], count)
        yield probes
        answers = CounterMetricFamily("nodetrust_autotls_answers", "Answers by their HTTP status", labels=["code"])
        for code, count in sorted(self._answers.items()):
            answers.add_metric([code], count)
        yield answers
