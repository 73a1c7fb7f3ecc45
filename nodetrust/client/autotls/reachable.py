"""Before the CA is asked: can others connect to this peer at all, as far as that is known?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.task import deferLater
from twisted.logger import Logger

from nodetrust.client.autotls.errors import NotReachable
from nodetrust.client.autotls.places import WITNESSES, ips_of
from nodetrust.client.autotls.way import Check
from nodetrust.client.outside import AskOutside
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.autonat import AutoNat, Reached
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.parallel import in_parallel
from nodetrust.messages import CheckFault
from nodetrust.names import IPAddress
from nodetrust.reachability.advice import Unreachable, advise

CLOSED = frozenset({CheckFault.TIMED_OUT, CheckFault.CONNECTION_REFUSED})
"""Where nobody answers. All else is an open port: without a certificate no TLS handshake succeeds there."""

UNKNOWN = frozenset({CheckFault.NOT_ALLOWED})
"""Nobody was willing to dial."""

MAX_PEERS = 4
"""That are asked about one address."""

MAX_PLACES = 4
"""That peers are asked about."""

PEERS_SECONDS = 10.0
"""How long a peer that has just started waits for peers to ask, where its user has named some."""

LOOK_AGAIN_SECONDS = 0.5

Doors = Callable[[Sequence[IPAddress]], Sequence[Multiaddr]]
"""The addresses, with an IP address and /p2p, at which WSS will be served."""

log = Logger()


async def nobody_knows(places: Sequence[Multiaddr]) -> None:
    """Where there is nobody to ask."""
    log.info("nobody here can tell whether others can connect to this peer: the broker will find out")


def check_from_outside(ask: AskOutside, doors: Doors, otherwise: Check) -> Check:
    """Has issue and proof servers dial where WSS will be served; what these do not know, `otherwise` may."""

    async def check(places: Sequence[Multiaddr]) -> None:
        asked = doors(ips_of(places))
        try:
            checked = await ask(asked) if asked else []
        except (NodetrustError, Libp2pError) as error:
            log.info("no server says whether others can connect to this peer: {reason}", reason=str(error))
            checked = []
        if any(one.outcome.fault not in CLOSED | UNKNOWN for one in checked):
            return
        closed = [one for one in checked if one.outcome.fault in CLOSED]
        if not closed or len(closed) < len(asked):
            await otherwise(places)
            return
        advice = (advise(Unreachable(one.address, one.outcome.fault)) for one in closed if one.outcome.fault)
        raise NotReachable(f"nobody can connect to this peer, so that no CA is asked: {'; '.join(advice)}")

    return check


def check_by_peers(clock: Any, autonat: AutoNat, *, wait: bool) -> Check:
    """Has connected peers dial the places, by AutoNAT. `wait`: for some to be connected, where there are none yet."""

    async def check(places: Sequence[Multiaddr]) -> None:
        servers = await _servers(clock, autonat, wait=wait)
        if len(servers) < WITNESSES:
            await nobody_knows(places)
            return
        closed = 0
        for place in places[:MAX_PLACES]:
            found = await _found(autonat, servers[:MAX_PEERS], place)
            if found[Reached.YES]:
                return
            closed += found[Reached.NO] >= WITNESSES
        if closed == len(places):
            raise NotReachable(
                f"nobody can connect to this peer, so that no CA is asked: other peers have dialled "
                f"{', '.join(map(str, places))} in vain; open the port in the firewall, forward it in the router, or "
                f"give --announce if it has another one outside"
            )
        log.info("other peers do not say whether they can connect to this one: the broker will find out")

    return check


async def _servers(clock: Any, autonat: AutoNat, *, wait: bool) -> list[Connection]:
    give_up = clock.seconds() + (PEERS_SECONDS if wait else 0)
    while len(servers := autonat.servers()) < WITNESSES and clock.seconds() < give_up:
        await deferLater(clock, LOOK_AGAIN_SECONDS)
    return servers


async def _found(autonat: AutoNat, servers: Sequence[Connection], place: Multiaddr) -> Counter[Reached]:
    return Counter(await in_parallel(_ask(autonat, one, place) for one in servers))


async def _ask(autonat: AutoNat, server: Connection, place: Multiaddr) -> Reached:
    try:
        return await autonat.ask(server, place)
    except Libp2pError as error:
        log.info("{peer} does not dial {place}: {reason}", peer=server.remote_peer, place=place, reason=str(error))
        return Reached.UNKNOWN
