"""Metrics for Prometheus, on an address of the operator's choice: `http://HOST:PORT/metrics`.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from typing import Any

from prometheus_client import ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry
from twisted.internet.interfaces import IListeningPort
from twisted.web.http import NOT_FOUND
from twisted.web.server import Request, Site

from nodetrust.settings import HostPort
from nodetrust.web.leaf import Leaf

PATH = b"/metrics"
IDLE_SECONDS = 60
"""How long an idle connection stays open; Prometheus scrapes about as often."""


class _Site(Site):
    """Without a line in the log for each request: whoever watches comes again and again."""

    noisy = False

    def log(self, request: Request) -> None:  # type: ignore[override]  # Twisted's says http.Request
        pass


class _MetricsPage(Leaf):
    """The one page; whatever else is asked for is not there."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def render(self, request: Request) -> bytes:
        """The metrics as text, if they are asked for."""
        if request.path != PATH or request.method not in (b"GET", b"HEAD"):
            request.setResponseCode(NOT_FOUND)
            return b""
        request.setHeader("Content-Type", CONTENT_TYPE_LATEST)
        return generate_latest(self._registry)


def serve_metrics(reactor: Any, place: HostPort, *collectors: Collector) -> IListeningPort:
    """Answer at `place` over HTTP, with the process's own metrics too. Raises `CannotListenError`."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    for collector in collectors:
        registry.register(collector)
    site: Any = _Site  # Twisted's has no types
    pages = site(_MetricsPage(registry), timeout=IDLE_SECONDS)
    port: IListeningPort = reactor.listenTCP(place.port, pages, interface=place.host)
    return port
