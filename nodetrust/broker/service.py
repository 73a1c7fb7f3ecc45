"""The broker with what the role that runs it has: a host, a store, DNS servers, lists, and perhaps HTTPS."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from prometheus_client.registry import Collector
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.logger import Logger
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory

from nodetrust.addresses import direct_ip, normalise
from nodetrust.broker.broker import Broker
from nodetrust.broker.decide import Rules
from nodetrust.broker.dialback import DialBack
from nodetrust.broker.metrics import BrokerCounters
from nodetrust.broker.ours import is_ours
from nodetrust.broker.pages import BOUNDS, PROXY_BOUNDS, Access, BoundedRequest, BrokerPages
from nodetrust.broker.quota import Quota
from nodetrust.broker.settings import BrokerSettings
from nodetrust.broker.sources import is_in
from nodetrust.challenges.servers import DnsServers
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.lists.build import ListsInForce
from nodetrust.lists.metrics import ListCollector
from nodetrust.names import IPAddress
from nodetrust.ordering import OrderingSettings
from nodetrust.peer_auth import ServerRules
from nodetrust.service import dial_options
from nodetrust.settings import HostPort, SettingsError
from nodetrust.store import Store
from nodetrust.web.hosts import VirtualHost
from nodetrust.web.listener import Guarded, WebListener, site_for
from nodetrust.web.metrics import serve_metrics

IDENTITY, HMAC_KEY = "autotls/identity", "autotls/hmac"
"""In the store: replicas are one server to their clients."""

HMAC_KEY_BYTES = 32


class BrokerService:
    """`listen` is called first, `begin` once there are a store and DNS servers, and `stop` before these are closed.

    Whoever has HTTPS serves `virtual_host` there, and closes that before `stop`.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, settings: BrokerSettings, role: OrderingSettings, host: Host, lists: ListsInForce
    ) -> None:
        self.http: list[WebListener] = []
        self.metrics: IListeningPort | None = None
        self.broker: Broker | None = None
        self._reactor = reactor
        self._settings = settings
        self._role = role
        self._host = host
        self._lists = lists
        self._counters = BrokerCounters()
        self._pages = BrokerPages(reactor, self._counters)
        self._rules = Rules()
        self._dialback: DialBack | None = None

    @property
    def virtual_host(self) -> VirtualHost:
        """The broker's pages for an HTTPS listener; before `begin` they answer 503."""
        return VirtualHost(self._settings.hostnames, self._pages, BoundedRequest, BOUNDS)

    def listen(self) -> None:
        """Bind the ports. Raises `SettingsError`, also for a file that cannot be read."""
        settings = self._settings
        self._rules = rules_of(settings, self._role)
        self._dialback = DialBack(
            self._reactor, **dial_options(self._reactor, settings.nameserver, self._role.trust_file)
        )
        if settings.metrics_listen is not None:
            lists = ListCollector(lambda: self._lists.states)
            self.metrics = self._serve_metrics(settings.metrics_listen, self._counters, lists)
        for place in settings.external_tls:
            self.http.append(WebListener(self._reactor, "external_tls", place, self._guarded()))

    async def begin(self, store: Store, dns: DnsServers, https: Iterable[WebListener]) -> None:
        """Serve; `https` has the role's listeners, which are not dialled either. Raises `StoreError`."""
        settings = self._settings
        own_ports = {one.place.port for one in (*self.http, *https)}
        own_ports |= {int(address.get("tcp") or 0) for address in self._host.listening}
        if self.metrics is not None:
            metrics: Any = self.metrics.getHost()
            own_ports.add(metrics.port)
        self._rules = replace(self._rules, own_ports=frozenset(own_ports))
        auth = await server_rules(store, settings)
        assert self._dialback is not None  # noqa: S101  # `listen` is called first
        self.broker = Broker(
            self._reactor,
            self._role.zone,
            self._rules_now,
            Quota(settings.registrations_per_peer, settings.registrations_per_address, settings.registrations_per_48),
            value_seconds=settings.value_seconds,
            store=store,
            dns=dns,
            dialback=self._dialback,
            counters=self._counters,
        )
        self.broker.start()
        self._pages.serve(Access(auth, settings.proxy_networks, self._rules_now), self.broker)
        for listener in self.http:
            self.log.info("the AutoTLS broker answers HTTP on {place}", place=str(listener.place))

    async def stop(self) -> None:
        """Give up what is being dialled, and have the DNS servers told."""
        if self.broker is not None:
            self.broker.stop()
        if self.metrics is not None:
            await maybeDeferred(self.metrics.stopListening)
        while self.http:
            await self.http.pop().stop()
        await self._pages.idle()
        if self._dialback is not None:
            await self._dialback.when_closed()

    def _serve_metrics(self, place: HostPort, *collectors: Collector) -> IListeningPort:
        try:
            return serve_metrics(self._reactor, place, *collectors)
        except CannotListenError as error:
            raise SettingsError(f"metrics_listen: cannot listen on {place}: {error.socketError}") from error

    def _guarded(self) -> Guarded:
        site = site_for(self._reactor, self._pages, BoundedRequest)
        if not self._settings.proxy_protocol:
            return Guarded(self._reactor, site, PROXY_BOUNDS, None)
        return Guarded(self._reactor, HAProxyWrappingFactory(site), PROXY_BOUNDS, None, self._is_proxy)

    def _is_proxy(self, address: IAddress | None) -> bool:
        host = getattr(address, "host", "")
        return bool(host) and is_in(normalise(ip_address(host.partition("%")[0])), self._settings.proxy_networks)

    def _rules_now(self) -> Rules:
        """With the DNS servers where they are connected: a setting that names them by a name has no address."""
        servers = self._role.dns_ids
        connections = (one for one in self._host.connections() if one.remote_peer in servers)
        places = {place for one in connections if (place := _place(one.remote_address)) is not None}
        return replace(self._rules, own_places=self._rules.own_places | places, lists=self._lists.lists)


def rules_of(settings: BrokerSettings, role: OrderingSettings) -> Rules:
    """What is dialled, by the settings. Raises `SettingsError` for a file that cannot be read."""
    places = (_place(address) for address in (*role.dns_servers, *role.announce))
    return Rules(
        access_token="" if settings.access_token_file is None else _read_token(settings.access_token_file),
        allow_networks=settings.open_networks,
        own_places=frozenset(place for place in places if place is not None),
        is_own=is_ours,
        same_address=settings.same_address,
    )


async def server_rules(store: Store, settings: BrokerSettings) -> ServerRules:
    """Who we are to clients, by keys that are made once. Raises `StoreError`."""
    identity = await store.secret(IDENTITY, PrivateKey.generate().to_protobuf())
    hmac_key = await store.secret(HMAC_KEY, os.urandom(HMAC_KEY_BYTES))
    return ServerRules(
        key=PrivateKey.from_protobuf(identity),
        hmac_keys=(hmac_key,),
        hostnames=settings.hostnames,
        bearer_seconds=settings.bearer_seconds,
    )


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
