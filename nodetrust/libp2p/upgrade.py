"""From a raw byte stream to an authenticated one on which a muxer can start, within one deadline.

multistream agrees on the security layer; the layer tells who is at the other end and, where both sides said so in the
handshake, which muxer follows; else multistream agrees on that too. Source: libp2p/specs `connections/README.md` and
`connections/inlined-muxer-negotiation.md`.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.errors import NegotiationError, Timeout
from nodetrust.libp2p.multistream import select_inbound, select_outbound
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.security import Secured, Security

MUXERS = ("/yamux/1.0.0",)

OUTBOUND_SECONDS = 15.0
"""For the whole upgrade of a connection that we dialed, as in go-libp2p."""
FIRST_MESSAGE_SECONDS = 3.0
"""Until somebody who connected has said which security layer to speak, which is the first thing a dialer sends (go and
js in one piece with the header). Ours; a server behind nothing must not wait for those who only connect."""
INBOUND_SECONDS = 10.0
"""The same for one that we accepted, as in js-libp2p: a stranger gets no more time than an honest slow peer needs."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """An authenticated channel, ready for a muxer; `security` is the protocol ID of the layer below it."""

    secured: Secured
    security: str


async def upgrade_outbound(
    channel: Channel, securities: Sequence[Security], expected: PeerId | None, clock: IReactorTime
) -> Upgraded:
    """Upgrade what we dialed; security layers are proposed in their order.

    Raise a Libp2pError if it fails or takes over OUTBOUND_SECONDS. Then, and when cancelled, the channel is aborted.
    """

    async def steps() -> Upgraded:
        layers = {security.protocol_id: security for security in securities}
        chosen = await select_outbound(channel, list(layers), clock, None)
        secured = await layers[chosen].secure_outbound(channel, expected)
        if secured.muxer is None:
            await select_outbound(secured.channel, MUXERS, clock, None)
        return _checked(secured, chosen)

    return await _bounded(steps(), channel, clock, OUTBOUND_SECONDS)


async def upgrade_inbound(channel: Channel, securities: Sequence[Security], clock: IReactorTime) -> Upgraded:
    """Upgrade what we accepted; otherwise as `upgrade_outbound`, within INBOUND_SECONDS."""

    async def steps() -> Upgraded:
        layers = {security.protocol_id: security for security in securities}
        chosen = await select_inbound(channel, layers, clock, FIRST_MESSAGE_SECONDS)
        secured = await layers[chosen].secure_inbound(channel)
        if secured.muxer is None:
            await select_inbound(secured.channel, MUXERS, clock, None)
        return _checked(secured, chosen)

    return await _bounded(steps(), channel, clock, INBOUND_SECONDS)


def _checked(secured: Secured, security: str) -> Upgraded:
    if secured.muxer is not None and secured.muxer not in MUXERS:
        raise NegotiationError(f"the security layer chose {secured.muxer!r}, which is no muxer of ours")
    return Upgraded(secured, security)


async def _bounded(
    steps: Coroutine[Deferred[Any], Any, Upgraded], channel: Channel, clock: IReactorTime, seconds: float
) -> Upgraded:
    upgrade = Deferred.fromCoroutine(steps)
    upgrade.addTimeout(seconds, clock, _timed_out)
    try:
        return await upgrade
    except BaseException:
        channel.abortConnection()
        raise


def _timed_out(_: object, seconds: float) -> object:
    raise Timeout(f"no secure connection within {seconds:g} seconds")
