"""From the settings to the ways by AutoTLS, one for each broker."""

from __future__ import annotations

from functools import partial
from typing import Any

from nodetrust.client.autotls.agent import https_agent
from nodetrust.client.autotls.authority import Authority
from nodetrust.client.autotls.broker import Broker
from nodetrust.client.autotls.way import ByBroker, Check, Places
from nodetrust.client.lookup.resolver import system_resolvers
from nodetrust.client.settings import ClientSettings
from nodetrust.libp2p.host import Host
from nodetrust.service import dial_options, read_roots


def by_brokers(reactor: Any, settings: ClientSettings, host: Host, places: Places, check: Check) -> list[ByBroker]:
    """The brokers in order of preference; they share the account at the CA. Raises `SettingsError`."""
    options = dial_options(reactor, settings.nameserver, settings.trust_file)
    resolver, trust_root = options.get("resolver"), options.get("trust_root")
    roots = trust_root if settings.acme_root_file is None else read_roots("acme_root_file", settings.acme_root_file)
    agent = https_agent(reactor, resolver, trust_root)
    authority = Authority(reactor, settings.state, settings.acme_directory, https_agent(reactor, resolver, roots))
    return [
        ByBroker(
            reactor,
            host.peer_id,
            settings.domain,
            Broker(reactor, agent, url, host.key, settings.forge_token),
            authority,
            places=places,
            check=check,
            resolvers=system_resolvers if settings.nameserver is None else partial(tuple, [settings.nameserver]),
        )
        for url in settings.brokers
    ]
