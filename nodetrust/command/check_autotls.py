"""`nodetrust check --autotls`: from the options to the walk."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from nodetrust.client.autotls.account import Account, read_account
from nodetrust.client.autotls.build import Agents
from nodetrust.client.autotls.errors import AccountFileError
from nodetrust.client.diagnosis.autotls_network import Ca
from nodetrust.client.diagnosis.autotls_outside import Hints, Outside
from nodetrust.client.diagnosis.autotls_walk import AutoTlsWalk, Subject
from nodetrust.client.diagnosis.steps import Report
from nodetrust.client.diagnosis.stored import read_stored
from nodetrust.client.issuers import Issuers
from nodetrust.client.outside import ask_outside
from nodetrust.client.settings import ClientSettings
from nodetrust.command.check_asked import Asked
from nodetrust.libp2p.host import Host
from nodetrust.settings import from_values


def walk_by_autotls(
    reactor: Any, report: Report, asked: Asked, host: Host, options: Mapping[str, object]
) -> AutoTlsWalk:
    """The walk; `options` are further settings of the client. Raises `SettingsError`."""
    common = {"nameserver": asked.nameserver, "trust_file": asked.trust_file}
    given = {"autotls": True, "state": asked.state, "wss_listen": (), **options, **common}
    settings = from_values(ClientSettings, {key: value for key, value in given.items() if value is not None})
    agents = Agents.of(reactor, settings)
    account = _account(settings)
    stored, key_file = read_stored(asked.state), asked.key_file
    subject = Subject(
        host.peer_id,
        key_file,
        settings.domain,
        tuple(agents.brokers(reactor, settings, host.key)),
        settings.acme_directory,
        Ca(reactor, settings.acme_directory, agents.ca, account if isinstance(account, Account) else None),
        account,
        stored,
        agents.resolver,
    )
    hints = Hints(
        stored,
        settings.domain,
        asked.wss,
        settings.announce,
        allow_private=settings.allow_private,
        is_made_up=key_file is None,
    )
    servers = ask_outside(reactor, host, Issuers(asked.issuers, time.monotonic)) if asked.issuers else None
    outside = Outside(reactor, host, hints, servers, settings.bootstrap)
    return AutoTlsWalk(reactor, asked.names(reactor), subject, outside, report)


def _account(settings: ClientSettings) -> Account | AccountFileError | None:
    try:
        return read_account(settings.state, settings.acme_directory)
    except AccountFileError as error:
        return error
