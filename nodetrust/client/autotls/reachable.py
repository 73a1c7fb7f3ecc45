"""Before the CA is asked: can others connect to this peer at all, as far as that is known?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from nodetrust.client.autotls.errors import NotReachable
from nodetrust.client.autotls.places import ips_of
from nodetrust.client.autotls.way import Check
from nodetrust.client.outside import AskOutside
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.messages import CheckFault
from nodetrust.names import IPAddress
from nodetrust.reachability.advice import Unreachable, advise

CLOSED = frozenset({CheckFault.TIMED_OUT, CheckFault.CONNECTION_REFUSED})
"""Where nobody answers. All else is an open port: without a certificate no TLS handshake succeeds there."""

Doors = Callable[[Sequence[IPAddress]], Sequence[Multiaddr]]
"""The addresses, with an IP address and /p2p, at which WSS will be served."""

log = Logger()


def check_from_outside(ask: AskOutside | None, doors: Doors) -> Check:
    """Has servers dial where WSS will be served; without `ask`, or where none does it, nothing is known."""

    async def check(places: Sequence[Multiaddr]) -> None:
        asked = doors(ips_of(places))
        if ask is None or not asked:
            log.info("nobody here can tell whether others can connect to this peer: the broker will find out")
            return
        try:
            checked = await ask(asked)
        except (NodetrustError, Libp2pError) as error:
            log.info("it cannot be known whether others can connect to this peer: {reason}", reason=str(error))
            return
        closed = [one for one in checked if one.outcome.fault in CLOSED]
        if len(closed) == len(checked):
            advice = (advise(Unreachable(one.address, one.outcome.fault)) for one in closed if one.outcome.fault)
            raise NotReachable(f"nobody can connect to this peer, so that no CA is asked: {'; '.join(advice)}")

    return check
