"""The AutoTLS broker on HTTP, and on a libp2p host with which it tells the DNS servers."""

from __future__ import annotations

import os
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from prometheus_client.registry import Collector
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.logger import Logger
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.python.failure import Failure

from nodetrust.addresses import direct_ip, normalise
from nodetrust.broker.broker import Broker
from nodetrust.broker.decide import Rules
from nodetrust.broker.dialback import DialBack
from nodetrust.broker.metrics import BrokerCounters
from nodetrust.broker.ours import is_ours
from nodetrust.autotls.own import OwnOrders
from nodetrust.broker.pages import BOUNDS, PROXY_BOUNDS, Access, BoundedRequest, BrokerPages
from nodetrust.broker.quota import Quota
from nodetrust.autotls.settings import SECONDS_A_DAY, AutoTlsSettings
from nodetrust.broker.sources import is_in
from nodetrust.certificates import key_to_pem
from nodetrust.challenges.servers import DnsServers
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.lists.build import ListsInForce
from nodetrust.lists.lists import Lists
from nodetrust.lists.metrics import ListCollector
from nodetrust.names import IPAddress
from nodetrust.own.files import OwnCertificate
from nodetrust.own.upkeep import OwnUpkeep, Self
from nodetrust.peer_auth import ServerRules
from nodetrust.service import RoleService, dial_options, listen_all, open_host
from nodetrust.settings import HostPort, SettingsError
from nodetrust.store import Store
from nodetrust.web.listener import Guarded, WebListener, site_for
from nodetrust.web.metrics import serve_metrics

STORE_FILE = "store.sqlite"
"""In the state folder, where no other database is configured."""

IDENTITY, HMAC_KEY = "autotls/identity", "autotls/hmac"
"""In the store: replicas are one server to their clients."""

HMAC_KEY_BYTES = 32


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
        self.http: list[WebListener] = []
        self.https: list[WebListener] = []
        self.metrics: IListeningPort | None = None
        self.certificates = CertificateStore()
        self._rules = Rules()
        self._lists: ListsInForce | None = None
        self._dialback: DialBack | None = None
        self._broker: Broker | None = None
        self._pages: BrokerPages | None = None
        self._orders: OwnOrders | None = None
        self._upkeep: Deferred[None] | None = None

    async def start(self) -> None:
        """Read the lists, open the store, reach for the DNS servers, and serve."""
        settings = self.settings
        options = dial_options(self.reactor, settings.nameserver, settings.trust_file)
        self.host = host = open_host(self.reactor, settings)
        await listen_all(host, settings, self.log, self.name)
        self._rules = rules_of(settings)
        self._lists = lists = ListsInForce(self.reactor, settings, self._replace_lists)
        lists.start()
        self._replace_lists(lists.lists)
        counters = BrokerCounters()
        if settings.metrics_listen is not None:
            self.metrics = self._serve_metrics(settings.metrics_listen, counters, ListCollector(lambda: lists.states))
        self._pages = pages = BrokerPages(self.reactor, counters)
        for place in settings.https_listen:
            site = site_for(self.reactor, pages, BoundedRequest)
            guarded = Guarded(self.reactor, site, BOUNDS, self.certificates)
            self.https.append(WebListener(self.reactor, "https_listen", place, guarded))
        for place in settings.external_tls:
            self.http.append(WebListener(self.reactor, "external_tls", place, self._guarded(pages)))
        own_ports = {one.place.port for one in (*self.http, *self.https)}
        own_ports |= {int(address.get("tcp") or 0) for address in host.addresses()}
        self._rules = replace(self._rules, own_ports=frozenset(own_ports))
        self.store = store = await Store.open(self.reactor, store_url(settings))
        auth = await server_rules(store, settings)
        self.dns = dns = DnsServers(self.reactor, host, settings.dns_servers, settings.dns_confirmations)
        dns.start()
        self._dialback = DialBack(self.reactor, **options)
        self._broker = broker = Broker(
            self.reactor,
            settings.zone,
            self._rules_now,
            Quota(settings.registrations_per_peer, settings.registrations_per_address, settings.registrations_per_48),
            value_seconds=settings.value_seconds,
            store=store,
            dns=dns,
            dialback=self._dialback,
            counters=counters,
        )
        broker.start()
        pages.serve(Access(auth, settings.proxy_networks, self._rules_now), broker)
        for listener in self.http:
            self.log.info("nodetrust-autotls answers HTTP on {place}", place=str(listener.place))
        if self.https:
            await self._begin_own_certificate(store, dns)

    async def _begin_own_certificate(self, store: Store, dns: DnsServers) -> None:
        """Until there is one no TLS handshake succeeds."""
        settings = self.settings
        self._orders = await OwnOrders.open(self.reactor, settings, store, dns)
        names = tuple(sorted({name.lower() for name in settings.registration_name}))
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
        """Give up what is being dialled, let the DNS servers be told, then close listeners, host and store."""
        if self._lists is not None:
            self._lists.stop()
        if self._broker is not None:
            self._broker.stop()
        if self._upkeep is not None:
            self._upkeep.cancel()
        if self.metrics is not None:
            await maybeDeferred(self.metrics.stopListening)
        for listener in (*self.http, *self.https):
            await listener.stop()
        self.http, self.https = [], []
        if self._pages is not None:
            await self._pages.idle()
        if self._orders is not None:
            await self._orders.close()
        if self._dialback is not None:
            await self._dialback.when_closed()
        if self.dns is not None:
            await self.dns.stop()
        if self.host is not None:
            await self.host.stop()
        if self.store is not None:
            await self.store.close()

    def _serve_metrics(self, place: HostPort, *collectors: Collector) -> IListeningPort:
        try:
            return serve_metrics(self.reactor, place, *collectors)
        except CannotListenError as error:
            raise SettingsError(f"metrics_listen: cannot listen on {place}: {error.socketError}") from error

    def _guarded(self, pages: BrokerPages) -> Guarded:
        site = site_for(self.reactor, pages, BoundedRequest)
        if not self.settings.proxy_protocol:
            return Guarded(self.reactor, site, PROXY_BOUNDS, None)
        return Guarded(self.reactor, HAProxyWrappingFactory(site), PROXY_BOUNDS, None, self._is_proxy)

    def _is_proxy(self, address: IAddress | None) -> bool:
        host = getattr(address, "host", "")
        return bool(host) and is_in(normalise(ip_address(host.partition("%")[0])), self.settings.proxy_networks)

    def _rules_now(self) -> Rules:
        """With the DNS servers where they are connected: a setting that names them by a name has no address."""
        if self.host is None:
            return self._rules
        servers = {address.peer_id for address in self.settings.dns_servers}
        connections = (one for one in self.host.connections() if one.remote_peer in servers)
        places = {place for one in connections if (place := _place(one.remote_address)) is not None}
        return replace(self._rules, own_places=self._rules.own_places | places)

    def _replace_lists(self, lists: Lists) -> None:
        self._rules = replace(self._rules, lists=lists)


def rules_of(settings: AutoTlsSettings) -> Rules:
    """What is dialled, by the settings. Raises `SettingsError` for a file that cannot be read."""
    places = (_place(address) for address in (*settings.dns_servers, *settings.announce))
    return Rules(
        access_token="" if settings.access_token_file is None else _read_token(settings.access_token_file),
        allow_networks=settings.open_networks,
        own_places=frozenset(place for place in places if place is not None),
        is_own=is_ours,
        same_address=settings.same_address,
    )


async def server_rules(store: Store, settings: AutoTlsSettings) -> ServerRules:
    """Who we are to clients, by keys that are made once. Raises `StoreError`."""
    identity = await store.secret(IDENTITY, PrivateKey.generate().to_protobuf())
    hmac_key = await store.secret(HMAC_KEY, os.urandom(HMAC_KEY_BYTES))
    return ServerRules(
        key=PrivateKey.from_protobuf(identity),
        hmac_keys=(hmac_key,),
        hostnames=frozenset(name.lower() for name in settings.registration_name),
        bearer_seconds=settings.bearer_days * SECONDS_A_DAY,
    )


def store_url(settings: AutoTlsSettings) -> str:
    """The database that the settings name, or the file in the state folder."""
    return settings.store or f"sqlite:///{(settings.state / STORE_FILE).absolute()}"


def _place(address: Multiaddr) -> tuple[IPAddress, int] | None:
    ip = direct_ip(address)
    return None if ip is None else (ip, int(address.get("tcp") or 0))


def _read_token(path: Path) -> str:
    try:
        token = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"access_token_file: expected a file with a text, {path} cannot be read") from error
    if not token:
        raise SettingsError(f"access_token_file: {path} is empty")
    return token
