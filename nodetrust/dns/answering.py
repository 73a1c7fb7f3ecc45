"""What one process needs to answer DNS: a responder, its sockets, and the zone and challenges that it answers from."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

from nodetrust.dns.authority import POLICIES, build_authority
from nodetrust.dns.challenges.table import ChallengeTable
from nodetrust.dns.denied import policy_with
from nodetrust.dns.limits.build import build_gate
from nodetrust.dns.observe.counters import Census
from nodetrust.dns.observe.forge import ForgeCensus
from nodetrust.dns.observe.querylog import QueryLog
from nodetrust.dns.respond import Responder
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.transport.ports import DnsPort, answer_on
from nodetrust.dns.transport.sockets import DnsSockets
from nodetrust.dns.transport.tcp import DnsStreamFactory
from nodetrust.dns.zone.zone import Zone
from nodetrust.lists.lists import NO_LISTS, Lists


class Answering:
    """Answers on the sockets that it is given. What it answers from comes in from outside and reads no file, so that a
    worker can always be started."""

    def __init__(
        self,
        reactor: Any,
        settings: DnsSettings,
        zone: Zone,
        table: ChallengeTable,
        seconds: Callable[[], float],
        *,
        cookie_root: bytes,
        lists: Lists = NO_LISTS,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._zone = zone
        self.table = table
        self.cookie_root = cookie_root
        self.lists = lists
        """The prefixes that are denied and allowed now."""
        self.responder = Responder(build_authority(settings, zone, table), seconds, build_gate(settings, cookie_root))
        if settings.log_queries:
            self.responder.observers = (QueryLog(),)
        if settings.metrics_listen is not None:
            counters = self.responder.counters
            self.responder.observers += (Census(counters), ForgeCensus(counters, zone.origin))
        self.replace_lists(lists)
        limit = min(settings.max_tcp_connections, _half_of_all_descriptors())
        self.factory = DnsStreamFactory(self.responder, reactor, limit, settings.max_tcp_per_client)
        self.ports: list[DnsPort] = []

    def replace_zone(self, zone: Zone) -> None:
        """Answer from a zone that was checked."""
        self._zone = zone
        policy = policy_with(self.lists, POLICIES[self._settings.addresses], self.responder.counters)
        self.responder.authority = build_authority(self._settings, zone, self.table, policy)

    def replace_lists(self, lists: Lists) -> None:
        """Answer by other lists of prefixes, which were checked."""
        self.lists = lists
        self.replace_zone(self._zone)

    def answer_on(self, sockets: DnsSockets) -> None:
        """Answer on sockets, which are closed with the others."""
        self.ports.append(answer_on(self._reactor, sockets, self.factory))

    def stand_in_on(self, sockets: DnsSockets) -> DnsPort:
        """Answer on sockets that belong to another process, until the port is released."""
        return answer_on(self._reactor, sockets.copy(), self.factory)

    async def close(self) -> None:
        """Answer what has arrived, then close the ports and every connection."""
        ports, self.ports = self.ports, []
        for port in ports:
            await port.close()
        self.factory.close_all()


def _half_of_all_descriptors() -> int:
    """TCP may not use up the descriptors that everything else needs; half is Knot's share, too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else max(1, soft // 2)
