"""What the broker counts, under p2p-forge's names where it counts the same (its `docs/METRICS.md`)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from nodetrust.broker.wire import CHALLENGE_PATH

_FORGE = "coredns_forge_acme_"
_HANDLER = CHALLENGE_PATH.decode()
_BOUNDS = (0.1, 0.5, 1.0, 2.0, 5.0, 8.0, 10.0, 20.0, 30.0)
"""Seconds; p2p-forge's."""

_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
"""Those that are told apart: a client may send any word."""

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
        self._challenges: defaultdict[tuple[str, str], _Durations] = defaultdict(_Durations)
        self._being_answered = 0

    def probed(self, user_agent: str, *, reached: bool) -> None:
        """A node was dialled."""
        self._probes["ok" if reached else "error", agent_of(user_agent)] += 1

    def answered(self, status: int) -> None:
        """A request has its answer."""
        self._answers[str(status)] += 1

    def challenge_asked(self) -> None:
        """A request to `CHALLENGE_PATH` is there in full; `challenge_over` follows, whatever becomes of it."""
        self._being_answered += 1

    def challenge_answered(self, method: str, status: int, seconds: float) -> None:
        """It has its answer, after so long; who hangs up before gets none."""
        self._challenges[method if method in _METHODS else "OTHER", str(status)].add(seconds)

    def challenge_over(self) -> None:
        """It has its answer, or whoever made it is gone."""
        self._being_answered -= 1

    def collect(self) -> Iterator[Metric]:
        """All metrics, with the values of now."""
        probes = CounterMetricFamily(
            _FORGE + "libp2p_probe", "Dial-backs before a registration", labels=["result", "agent"]
        )
        for (result, agent), count in sorted(self._probes.items()):
            probes.add_metric([result, agent], count)
        yield probes
        durations = HistogramMetricFamily(
            _FORGE + "http_request_duration_seconds",
            "From when a request is there in full to the end of its answer",
            labels=["handler", "method", "code"],
        )
        for (method, code), taken in sorted(self._challenges.items()):
            durations.add_metric([_HANDLER, method, code], taken.buckets(), taken.seconds)
        yield durations
        inflight = GaugeMetricFamily(
            _FORGE + "http_requests_inflight", "Requests that are being answered", labels=["handler"]
        )
        inflight.add_metric([_HANDLER], self._being_answered)
        yield inflight
        answers = CounterMetricFamily("nodetrust_autotls_answers", "Answers by their HTTP status", labels=["code"])
        for code, count in sorted(self._answers.items()):
            answers.add_metric([code], count)
        yield answers


class _Durations:
    """How many took how long, and all together."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(_BOUNDS, seconds)] += 1
        self.seconds += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """How many took at most so long; bounds are written as Go does, for they are labels."""
        names = [*(f"{bound:g}" for bound in _BOUNDS), "+Inf"]
        return list(zip(names, accumulate(self._counts), strict=True))
