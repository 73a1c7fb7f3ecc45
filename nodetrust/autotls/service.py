"""The AutoTLS broker as a server of its own, with HTTPS or behind a proxy that has it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.autotls.own import OwnOrders
from nodetrust.autotls.settings import AutoTlsSettings
from nodetrust.broker.service import BrokerService
from nodetrust.certificates import key_to_pem
from nodetrust.challenges.servers import DnsServers
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.lists.build import ListsInForce
from nodetrust.own.files import OwnCertificate
from nodetrust.own.names import checked_names, names_to_order
from nodetrust.own.upkeep import OwnUpkeep, Self
from nodetrust.service import RoleService, listen_all, open_host
from nodetrust.store import Store
from nodetrust.web.listener import Guarded, WebListener, site_for


class AutoTlsService(RoleService):
    """Sets ACME challenges for nodes that it has met at an address of theirs."""

    name = "nodetrust-autotls"
    log = Logger()

    def __init__(self, reactor: Any, settings: AutoTlsSettings) -> None:
        super().__init__(reactor)
        self.settings = settings
        self.host: Host | None = None
        self.store: Store | None = None
        self.dns: DnsServers | None = None
        self.broker: BrokerService | None = None
        self.https: list[WebListener] = []
        self.certificates = CertificateStore()
        self._lists: ListsInForce | None = None
        self._orders: OwnOrders | None = None
        self._upkeep: Deferred[None] | None = None

    async def start(self) -> None:
        """Read the lists, open the store, reach for the DNS servers, and serve."""
        settings = self.settings
        self.host = host = open_host(self.reactor, settings)
        await listen_all(host, settings, self.log, self.name)
        self._lists = lists = ListsInForce(self.reactor, settings)
        lists.start()
        self.broker = broker = BrokerService(self.reactor, settings.broker, settings, host, lists)
        broker.listen()
        virtual_host = broker.virtual_host
        for place in settings.https_listen:
            site = site_for(self.reactor, virtual_host.pages, virtual_host.request)
            guarded = Guarded(self.reactor, site, virtual_host.bounds, self.certificates)
            self.https.append(WebListener(self.reactor, "https_listen", place, guarded))
        self.store = store = await Store.open(self.reactor, settings.store_url)
        self.dns = dns = DnsServers(self.reactor, host, settings.dns_servers, settings.dns_confirmations)
        dns.start()
        await broker.begin(store, dns, self.https)
        if self.https:
            await self._begin_own_certificate(store, dns)

    async def _begin_own_certificate(self, store: Store, dns: DnsServers) -> None:
        """Until there is one no TLS handshake succeeds."""
        settings = self.settings
        self._orders = await OwnOrders.open(self.reactor, settings, store, dns)
        names = names_to_order(checked_names("registration_name", settings.broker.registration_name))
        upkeep = OwnUpkeep(self.reactor, Self("the broker's own", names, settings.state), self._orders, self._use)
        upkeep.use_stored()
        self._upkeep = Deferred.fromCoroutine(upkeep.run()).addErrback(self._log_bug)
        for listener in self.https:
            self.log.info("nodetrust-autotls answers HTTPS on {place}", place=str(listener.place))

    def _use(self, own: OwnCertificate) -> None:
        """For new connections; open ones keep theirs."""
        self.certificates.set(own.chain.names, key_to_pem(own.key), own.chain.full_pem)

    def _log_bug(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("the own certificate is not looked after any more, which is a bug", failure=failure)

    async def stop(self) -> None:
        """Take no more requests, give up those that are under way, then close host and store."""
        if self._lists is not None:
            self._lists.stop()
        if self._upkeep is not None:
            self._upkeep.cancel()
        while self.https:
            await self.https.pop().stop()
        if self.broker is not None:
            await self.broker.stop()
        if self._orders is not None:
            await self._orders.close()
        if self.dns is not None:
            await self.dns.stop()
        if self.host is not None:
            await self.host.stop()
        if self.store is not None:
            await self.store.close()
