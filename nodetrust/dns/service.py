"""The DNS server's life: the zone is read, the ports are bound, the issue server may call."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from twisted.logger import Logger

from nodetrust.addresses import is_public
from nodetrust.dns.answer import Authority
from nodetrust.dns.challenges import ChallengeTable
from nodetrust.dns.dns01 import IDLE_SECONDS, ChallengesInMemory, Dns01
from nodetrust.dns.errors import ZoneError
from nodetrust.dns.ports import DnsPort, bind
from nodetrust.dns.records import Name, parse_name
from nodetrust.dns.respond import Responder
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.sources import ChallengeSource, Ip4Source, Ip6Source, PeerSource, Policy, every_address
from nodetrust.dns.tcp import DnsStreamFactory
from nodetrust.dns.zone import Zone
from nodetrust.dns.zonefile import default_zone_text, load_zone, parse_zone
from nodetrust.libp2p.host import Host
from nodetrust.messages import DNS01_PROTOCOL, MAX_DNS01_REQUEST_BYTES
from nodetrust.service import RoleService, listen_all, open_host


def _is_private(address: IPv4Address | IPv6Address) -> bool:
    return not is_public(address)


POLICIES: dict[str, Policy] = {"all": every_address, "public": is_public, "private": _is_private}
"""By the words of the setting `addresses`."""


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

    @property
    def places(self) -> list[str]:
        """Where DNS is answered: `host:port`, the same for UDP and TCP."""
        return [str(port.place) for port in self._ports]

    async def start(self) -> None:
        """Read the zone, bind the ports, then listen for the issue server."""
        settings = self.settings
        table = ChallengeTable(settings.challenge_seconds)
        responder = Responder(authority(settings, table), self.seconds)
        limit = min(settings.max_tcp_connections, _half_of_all_descriptors())
        self._factory = factory = DnsStreamFactory(responder, self.reactor, limit)
        for place in settings.listen_dns:
            self._ports.append(bind(self.reactor, place, factory))
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
        ports, self._ports = self._ports, []
        for port in ports:
            await port.close()
        if self._factory is not None:
            self._factory.close_all()
        if self.host is not None:
            await self.host.stop()


def authority(settings: DnsSettings, table: ChallengeTable) -> Authority:
    """Everything that the server answers from; raises ZoneError for a zone file that is refused."""
    origin = parse_name(settings.zone)
    policy = POLICIES[settings.addresses]
    sources = (
        ChallengeSource(origin, table),
        Ip4Source(settings.ttl, policy),
        Ip6Source(settings.ttl, policy),
        PeerSource(settings.ttl),
    )
    zone = default_zone(settings, origin) if settings.zone_file is None else load_zone(settings.zone_file, origin)
    return Authority(zone, sources)


def default_zone(settings: DnsSettings, origin: Name) -> Zone:
    """The zone without a zone file: SOA, and this server as its only name server."""
    addresses = {place.host for place in settings.listen_dns if not ip_address(place.host).is_unspecified}
    if not addresses:
        raise ZoneError(
            "listen_dns is every address of this machine: say with a zone_file which one is the name server's"
        )
    return parse_zone(default_zone_text(sorted(addresses)), origin, "the default zone")


def _half_of_all_descriptors() -> int:
    """TCP may not use up the descriptors that everything else needs; half is Knot's share, too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else max(1, soft // 2)
