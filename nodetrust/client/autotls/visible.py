"""Whether the DNS answers with a challenge's value: before that, the CA would look in vain, and count it as a failure.

The resolver of this machine is asked, and each of the zone's own servers that can be found and reached: they are what
the CA asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.task import deferLater

from nodetrust.client.autotls.errors import NotVisible
from nodetrust.client.lookup.errors import NoReply
from nodetrust.client.lookup.resolver import DNS_PORT, Resolver
from nodetrust.client.lookup.wire import Reply, Type
from nodetrust.libp2p.parallel import in_parallel
from nodetrust.settings import HostPort

VISIBLE_SECONDS = 180.0
"""For a value to be seen everywhere: the AutoTLS specification's DNS timeout."""

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 10.0
"""Pauses double between these; the TXT records of brokers live for ten seconds."""

MAX_SERVERS = 8
"""Of a zone, that are asked themselves."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """The TXT record that a broker has promised, and the zone that it is in."""

    name: str
    value: str
    zone: str


async def wait_until_visible(
    reactor: Any, resolvers: Sequence[HostPort], awaited: Awaited, *, dns_port: int = DNS_PORT
) -> None:
    """Return when everybody who answers for the name answers with the value. Raises `NotVisible`.

    `resolvers` are this machine's; `dns_port` is where the zone's own servers are asked.
    """
    give_up = reactor.seconds() + VISIBLE_SECONDS
    resolver = Resolver(reactor, resolvers)
    asked = {"the resolver": resolver} | {
        str(place): Resolver(reactor, [place]) for place in await _servers_of(resolver, awaited.zone, dns_port)
    }
    pause = FIRST_PAUSE_SECONDS
    while True:
        looks = await in_parallel(_look(one, awaited) for one in asked.values())
        seen = dict(zip(asked, looks, strict=True))
        hidden = [who for who, found in seen.items() if found is False]
        if not hidden and True in seen.values():
            return
        if reactor.seconds() + pause > give_up:
            raise NotVisible(_complaint(awaited, hidden))
        await deferLater(reactor, pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _complaint(awaited: Awaited, hidden: Sequence[str]) -> str:
    if not hidden:
        return f"nobody answers for {awaited.name}: neither the resolver nor a server of {awaited.zone}"
    return (
        f"after {VISIBLE_SECONDS:g} seconds, {awaited.name} still has not the value that the broker took: so say "
        f"{', '.join(hidden)}"
    )


async def _look(resolver: Resolver, awaited: Awaited) -> bool | None:
    """Whether the value is there; None where nobody answers."""
    try:
        reply = await resolver.ask(awaited.name, Type.TXT)
    except NoReply:
        return None
    return any(record.value == awaited.value for record in reply.of(Type.TXT))


async def _servers_of(resolver: Resolver, zone: str, port: int) -> list[HostPort]:
    """The zone's own servers; none where they cannot be found."""
    names = [str(record.value) for record in (await _reply(resolver, zone, Type.NS)).of(Type.NS)]
    replies = await in_parallel(
        _reply(resolver, name, kind) for name in names[:MAX_SERVERS] for kind in (Type.A, Type.AAAA)
    )
    ips = [str(record.value) for reply in replies for kind in (Type.A, Type.AAAA) for record in reply.of(kind)]
    return [HostPort(ip, port) for ip in dict.fromkeys(ips)][: 2 * MAX_SERVERS]


async def _reply(resolver: Resolver, name: str, kind: Type) -> Reply:
    """What is said, or nothing."""
    try:
        return await resolver.ask(name, kind)
    except NoReply:
        return Reply(code=0, authoritative=False, truncated=False)
