"""From the settings to the ways by AutoTLS, one for each broker."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from twisted.internet.interfaces import IResolver
from twisted.web.iweb import IAgent

from nodetrust.client.autotls.agent import https_agent
from nodetrust.client.autotls.authority import Authority
from nodetrust.client.autotls.broker import Broker
from nodetrust.client.autotls.way import ByBroker, Check, Places
from nodetrust.client.lookup.resolver import system_resolvers
from nodetrust.client.settings import ClientSettings
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.service import dial_options, read_roots


@dataclass(frozen=True, slots=True)
class Agents:
    """How brokers and the CA are reached; `resolver` finds their names, None: the reactor does."""

    resolver: IResolver | None
    broker: IAgent
    ca: IAgent

    @classmethod
    def of(cls, reactor: Any, settings: ClientSettings) -> Self:
        """As the settings have it. Raises `SettingsError`."""
        options = dial_options(reactor, settings.nameserver, settings.trust_file)
        resolver, trust_root = options.get("resolver"), options.get("trust_root")
        root_file = settings.acme_root_file
        ca_root = trust_root if root_file is None else read_roots("acme_root_file", root_file)
        return cls(resolver, https_agent(reactor, resolver, trust_root), https_agent(reactor, resolver, ca_root))

    def brokers(self, reactor: Any, settings: ClientSettings, key: PrivateKey) -> list[Broker]:
        """In order of preference, for the peer with this key."""
        return [Broker(reactor, self.broker, url, key, settings.forge_token) for url in settings.brokers]


def by_brokers(reactor: Any, settings: ClientSettings, host: Host, places: Places, check: Check) -> list[ByBroker]:
    """The brokers in order of preference; they share the account at the CA. Raises `SettingsError`."""
    agents = Agents.of(reactor, settings)
    authority = Authority(reactor, settings.state, settings.acme_directory, agents.ca)
    return [
        ByBroker(
            reactor,
            host.peer_id,
            settings.domain,
            broker,
            authority,
            places=places,
            check=check,
            resolvers=system_resolvers if settings.nameserver is None else partial(tuple, [settings.nameserver]),
        )
        for broker in agents.brokers(reactor, settings, host.key)
    ]
