"""`nodetrust obtain --autotls`: this machine orders it, and listens while a broker connects to it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError, gatherResults
from twisted.internet.threads import deferToThreadPool

from nodetrust.certificates import CRYPTO_NAMES, key_crypto, make_key
from nodetrust.client.autotls.build import by_brokers
from nodetrust.client.autotls.reachable import nobody_knows
from nodetrust.client.autotls.way import ByBroker
from nodetrust.client.edge import Edge
from nodetrust.client.errors import ObtainError
from nodetrust.client.files import load, save
from nodetrust.client.issuers import BestFirst
from nodetrust.client.obtain import Obtained
from nodetrust.client.renewal import server_plan
from nodetrust.client.settings import ClientSettings
from nodetrust.command.obtain_asked import Asked
from nodetrust.command.obtain_shown import Shown
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.service import listen
from nodetrust.settings import from_values

MAP_SECONDS = 8.0
"""For the router to map the port, where this machine has no public address of its own."""


async def obtain_by_autotls(
    reactor: Any, shown: Shown, asked: Asked, options: Mapping[str, object]
) -> tuple[str, Obtained]:
    """The URL of the broker, and the certificate: that of the folder, unless it is due; it is there in any case.

    `options` are further settings of the client. Raises `ObtainError`, and `SettingsError`.
    """
    common = {"crypto": asked.crypto, "nameserver": asked.nameserver, "trust_file": asked.trust_file}
    given = {"autotls": True, "state": asked.out, "wss_listen": (), **options, **common}
    settings = from_values(ClientSettings, {key: value for key, value in given.items() if value is not None})
    host = asked.open_host(reactor)
    try:
        return await _by_brokers(reactor, shown, host, settings, new_key=asked.new_key)
    finally:
        await host.stop()


async def _by_brokers(
    reactor: Any, shown: Shown, host: Host, settings: ClientSettings, *, new_key: bool
) -> tuple[str, Obtained]:
    ways: Sequence[ByBroker] = ()
    mapped: Deferred[None] = Deferred()
    edge = Edge(reactor, settings, host, CertificateStore(), lambda: None if mapped.called else mapped.callback(None))
    try:
        listening = [await listen(host, address, "listen") for address in settings.listen]
        await edge.listen(listening)
        if settings.map_ports and not edge.places(listening):
            await _wait(reactor, shown, mapped)
        stored = None if new_key else load(settings.state)
        ways = by_brokers(reactor, settings, host, lambda: edge.places(listening), nobody_knows)

        async def ask(way: ByBroker) -> tuple[str, Obtained]:
            return str(way), await _obtain(reactor, shown, way, settings, stored)

        broker, obtained = await BestFirst(ways, time.monotonic).first(ask)
        save(settings.state, obtained)
        return broker, obtained
    finally:
        await gatherResults(map(Deferred.fromCoroutine, [edge.stop(), *(way.stop() for way in ways)]))


async def _wait(reactor: Any, shown: Shown, mapped: Deferred[None]) -> None:
    shown.step("asking the router for a port")
    try:
        await mapped.addTimeout(MAP_SECONDS, reactor)
    except TimeoutError:
        return


async def _obtain(
    reactor: Any, shown: Shown, way: ByBroker, settings: ClientSettings, stored: Obtained | None
) -> Obtained:
    claim = await way.claim()
    crypto = CRYPTO_NAMES[settings.crypto]
    if stored is not None and stored.chain.names == claim.names and key_crypto(stored.key) == crypto:
        planned = await _plan(way, stored)
        if stored.chain.is_fresh(_now(reactor)) and (planned is None or planned > _now(reactor)):
            return Obtained(stored.chain, stored.key, claim.addresses, from_cache=True, renew_at=planned)
    shown.step(f"ordering a certificate for {', '.join(claim.names)} with the help of {way}")
    key = await deferToThreadPool(reactor, reactor.getThreadPool(), make_key, crypto)
    obtained = await claim.order(key, crypto, stored)
    planned = await _plan(way, obtained)
    return Obtained(obtained.chain, obtained.key, obtained.addresses, from_cache=False, renew_at=planned)


async def _plan(way: ByBroker, obtained: Obtained) -> datetime | None:
    """When the CA wants it renewed; None where it does not say so now."""
    try:
        renew_at = await way.renew_at(obtained)
    except ObtainError:
        return None
    return None if renew_at is None else server_plan(renew_at, obtained.chain.not_before, obtained.chain.not_after)


def _now(reactor: Any) -> datetime:
    return datetime.fromtimestamp(reactor.seconds(), UTC)
