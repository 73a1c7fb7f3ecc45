"""What one process of a DNS server does beside answering: metrics are served, and lists of others fetched.

Their libraries are imported for those who use them: they would double the time of the start.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.logger import Logger

from nodetrust.dns.answering import Answering
from nodetrust.dns.errors import CannotBind
from nodetrust.dns.settings import DnsSettings
from nodetrust.lists.build import Fetches, start_feeds
from nodetrust.lists.files import ListFiles
from nodetrust.settings import HostPort

RETRY_SECONDS = 1.0
"""While the server that this one replaces still has the address of the metrics."""


class Surroundings:
    """Both, as far as the settings ask for them. `metrics_port` is the bound port."""

    log = Logger()

    def __init__(self, reactor: Any, settings: DnsSettings, answering: Answering, lists: ListFiles) -> None:
        self._reactor = reactor
        self._settings = settings
        self._answering = answering
        self._lists = lists
        self._feeds: Fetches | None = None
        self._retry: IDelayedCall | None = None
        self.metrics_port: IListeningPort | None = None

    def start(self) -> None:
        """Serve and fetch. Raises CannotBind for the address of the metrics."""
        if self._settings.metrics_listen is not None:
            self._serve(self._settings.metrics_listen)
        self._feeds = start_feeds(self._reactor, self._settings)

    async def stop(self) -> None:
        """Serve and fetch no more; returns when the port is closed."""
        if self._feeds is not None:
            self._feeds.stop()
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        if self.metrics_port is not None:
            await maybeDeferred(self.metrics_port.stopListening)

    def gauges(self) -> dict[str, tuple[str, float]]:
        """What is so now, beside what was counted."""
        answering = self._answering
        return {
            "challenges": ("ACME challenges in force", len(answering.table)),
            "tcp_connections": ("TCP connections to this process", len(answering.factory.connections)),
            "denied_prefixes": ("Prefixes on denylists", len(answering.lists.denied.prefixes)),
            "allowed_prefixes": ("Prefixes on allowlists", len(answering.lists.allowed.prefixes)),
            "zone_serial": ("The zone's serial", answering.responder.authority.zone.serial),
        }

    def _serve(self, place: HostPort) -> None:
        from nodetrust.dns.observe.metrics import serve_metrics  # noqa: PLC0415  # as said above

        try:
            self.metrics_port = serve_metrics(
                self._reactor,
                place,
                lambda: self._answering.responder.counters,
                self.gauges,
                lambda: self._lists.states,
            )
        except CannotBind as error:
            if not self._settings.share_port:
                raise
            self.log.debug("{error}; once more soon", error=str(error))
            self._retry = self._reactor.callLater(RETRY_SECONDS, self._serve, place)
            return
        bound: Any = self.metrics_port.getHost()
        self.log.info("metrics are at http://{place}/metrics", place=HostPort(bound.host, bound.port))
