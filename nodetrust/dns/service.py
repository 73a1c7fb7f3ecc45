"""The DNS server's life: the zone is read, the ports are bound, the issue server may call."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from nodetrust.dns.authority import build_authority, read_zone
from nodetrust.dns.challenges import ChallengeTable
from nodetrust.dns.dns01 import IDLE_SECONDS, ChallengesInMemory, Dns01
from nodetrust.dns.limits.build import build_gate
from nodetrust.dns.ports import DnsPort, answer_on
from nodetrust.dns.reload import ZoneReload
from nodetrust.dns.respond import Responder
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.sockets import open_sockets
from nodetrust.dns.tcp import DnsStreamFactory
from nodetrust.dns.zone import Zone
from nodetrust.libp2p.host import Host
from nodetrust.messages import DNS01_PROTOCOL, MAX_DNS01_REQUEST_BYTES
from nodetrust.service import RoleService, listen_all, open_host


class DnsService(RoleService):
    """Answers DNS on every address of `listen_dns`, and serves dns-01 to the admins.

    After `start`, `places` are the addresses that are bound and `host` is the libp2p host.
    """

    name = "nodetrust-dns"
    log = Logger()

    def __init__(self, reactor: Any, settings: DnsSettings, seconds: Callable[[], float] = time.monotonic) -> None:
        super().__init__(reactor)
        self.settings = settings
        self.seconds = seconds
        self.host: Host | None = None
        self._ports: list[DnsPort] = []
        self._factory: DnsStreamFactory | None = None
        self._reload: ZoneReload | None = None

    @property
    def places(self) -> list[str]:
        """Where DNS is answered: `host:port`, the same for UDP and TCP."""
        return [str(port.place) for port in self._ports]

    async def start(self) -> None:
        """Read the zone, bind the ports, then listen for the issue server."""
        settings = self.settings
        table = ChallengeTable(settings.challenge_seconds)
        zone = read_zone(settings)
        responder = Responder(build_authority(settings, zone, table), self.seconds, build_gate(settings))

        def put_in_force(zone: Zone) -> None:
            responder.authority = build_authority(settings, zone, table)

        self._reload = ZoneReload(self.reactor, lambda: read_zone(settings), zone, put_in_force)
        self._reload.start()
        limit = min(settings.max_tcp_connections, _half_of_all_descriptors())
        self._factory = factory = DnsStreamFactory(responder, self.reactor, limit, settings.max_tcp_per_client)
        for place in settings.listen_dns:
            sockets = open_sockets(place, shared=settings.share_port)
            self._ports.append(answer_on(self.reactor, sockets, factory))
        self.log.info(
            "nodetrust-dns answers for {zone} on {places}, UDP and TCP",
            zone=settings.zone,
            places=", ".join(self.places),
        )
        self.host = host = open_host(self.reactor, settings)
        dns01 = Dns01(responder, ChallengesInMemory(table, self.seconds), frozenset(settings.admins))
        host.handle_messages(DNS01_PROTOCOL, dns01.serve, MAX_DNS01_REQUEST_BYTES, IDLE_SECONDS)
        await listen_all(host, settings, self.log, "nodetrust-dns")

    async def stop(self) -> None:
        """Close the ports, then every connection."""
        if self._reload is not None:
            self._reload.stop()
        ports, self._ports = self._ports, []
        for port in ports:
            await port.close()
        if self._factory is not None:
            self._factory.close_all()
        if self.host is not None:
            await self.host.stop()


def _half_of_all_descriptors() -> int:
    """TCP may not use up the descriptors that everything else needs; half is Knot's share, too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else max(1, soft // 2)
