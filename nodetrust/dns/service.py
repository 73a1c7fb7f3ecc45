"""The DNS server's life: the zone is read, the ports are bound, the issue server may call, and peers announce."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from nodetrust.discovery import relay, start_pubsub
from nodetrust.dns.answering import Answering
from nodetrust.dns.authority import read_zone
from nodetrust.dns.challenges.dns01 import IDLE_SECONDS, Challenges, ChallengesInMemory, Dns01
from nodetrust.dns.challenges.journal import Journal
from nodetrust.dns.challenges.kept import JOURNAL_FILE, Clocks, Kept, restore
from nodetrust.dns.challenges.table import ChallengeTable
from nodetrust.dns.limits.build import ROOT_FILE, load_or_create_root
from nodetrust.dns.settings import DnsSettings
from nodetrust.dns.surroundings import Surroundings
from nodetrust.dns.transport.sockets import open_sockets
from nodetrust.dns.workers.pool import ChallengesInWorkers, Pool
from nodetrust.dns.zone.reload import ZoneReload
from nodetrust.dns.zone.zone import Zone
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.pubsub import PubSub
from nodetrust.lists.build import list_files
from nodetrust.lists.files import ListFiles
from nodetrust.lists.lists import Lists
from nodetrust.messages import DNS01_PROTOCOL, MAX_DNS01_REQUEST_BYTES
from nodetrust.service import RoleService, listen_all, open_host


class DnsService(RoleService):
    """Answers DNS on every address of `listen_dns`, serves dns-01 to the admins, and relays announcements.

    After `start`, `places` are the addresses that are bound and `host` is the libp2p host.
    """

    name = "nodetrust-dns"
    log = Logger()

    def __init__(self, reactor: Any, settings: DnsSettings, seconds: Callable[[], float] = time.monotonic) -> None:
        super().__init__(reactor)
        self.settings = settings
        self.seconds = seconds
        self.host: Host | None = None
        self._answering: Answering | None = None
        self._pool: Pool | None = None
        self._reload: ZoneReload | None = None
        self._lists: ListFiles | None = None
        self._kept: Kept | None = None
        self._journal: Journal | None = None
        self._surroundings: Surroundings | None = None
        self._pubsub: PubSub | None = None

    @property
    def places(self) -> list[str]:
        """Where DNS is answered: `host:port`, the same for UDP and TCP."""
        if self._pool is not None:
            return [str(place) for place in self._pool.places]
        return [] if self._answering is None else [str(port.place) for port in self._answering.ports]

    async def start(self) -> None:
        """Read the zone, bind the ports, then listen for the issue server."""
        settings = self.settings
        table = ChallengeTable(settings.challenge_seconds)
        clocks = Clocks(self.seconds)
        self._journal = journal = Journal(settings.state / JOURNAL_FILE)
        restore(journal, table, clocks)
        zone = read_zone(settings)
        self._lists = ListFiles(self.reactor, list_files(settings), self._replace_lists)
        cookie_root = load_or_create_root(settings.state / ROOT_FILE) if settings.cookies else b""
        self._answering = answering = Answering(
            self.reactor, settings, zone, table, self.seconds, cookie_root=cookie_root, lists=self._lists.load()
        )
        challenges: Challenges = ChallengesInMemory(table, self.seconds)
        put_in_force: Callable[[Zone], None] = answering.replace_zone
        if settings.workers > 1:
            self._pool = pool = Pool(self.reactor, settings, answering, self.seconds)
            challenges = ChallengesInWorkers(challenges, pool)
            put_in_force = pool.replace_zone
            pool.start()
        else:
            for place in settings.listen_dns:
                answering.answer_on(open_sockets(place, shared=settings.share_port))
        self._kept = challenges = Kept(self.reactor, challenges, journal, table, clocks)
        if settings.share_port:
            self._kept.start_following()
        self._reload = ZoneReload(self.reactor, lambda: read_zone(settings), zone, put_in_force)
        self._reload.start()
        self._lists.start()
        self.log.info(
            "nodetrust-dns answers for {zone} on {places}, UDP and TCP",
            zone=settings.zone,
            places=", ".join(self.places),
        )
        self._surroundings = Surroundings(self.reactor, settings, answering, self._lists)
        self._surroundings.start()
        self.host = host = open_host(self.reactor, settings)
        dns01 = Dns01(answering.responder, challenges, settings.rights)
        host.handle_messages(DNS01_PROTOCOL, dns01.serve, MAX_DNS01_REQUEST_BYTES, IDLE_SECONDS)
        self._pubsub = start_pubsub(host, self.reactor)
        relay(self._pubsub)
        await listen_all(host, settings, self.log, "nodetrust-dns")

    def _replace_lists(self, lists: Lists) -> None:
        answers = self._pool or self._answering
        if answers is not None:
            answers.replace_lists(lists)

    async def stop(self) -> None:
        """Close the ports, then every connection."""
        if self._reload is not None:
            self._reload.stop()
        if self._lists is not None:
            self._lists.stop()
        if self._kept is not None:
            self._kept.stop()
        if self._surroundings is not None:
            await self._surroundings.stop()
        if self._pool is not None:
            await self._pool.stop()
        if self._answering is not None:
            await self._answering.close()
        if self._pubsub is not None:
            self._pubsub.stop()
        if self.host is not None:
            await self.host.stop()
        if self._journal is not None:
            self._journal.close()
