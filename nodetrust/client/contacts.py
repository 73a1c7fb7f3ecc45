"""Keeps connections to the peers that the user has named: through them the first announcements travel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.logger import Logger, LogLevel

from nodetrust.addresses import by_family
from nodetrust.client.issuers import Issuer, by_server
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr

RECONNECT_SECONDS = 10.0
"""How often lost connections are dialled again.

A client that has moved learns of it from the issue server, over a new connection: yamux gives the old one up within 40
seconds, so that new proofs are asked for within a minute of the move.
"""


async def connect(host: Host, addresses: Issuer, *, anew: bool = False) -> None:
    """A connection to an issue server, over IPv4 where both sides have it. Raises `Libp2pError`.

    What a router does to its IPv4 address shows nowhere but at the other end; an IPv6 address is this machine's own.
    """
    over_ipv4 = by_family(addresses).get(4, [])
    if over_ipv4:
        try:
            await host.connect(over_ipv4, anew=anew)
            return
        except Libp2pError:
            if len(by_family(addresses)) == 1:
                raise
    await host.connect(addresses, anew=anew)


class Contacts:
    """Dials from `start` to `stop` whoever of them there is no connection to.

    That one is away is said once, and that it is back.
    """

    log = Logger()

    def __init__(self, clock: Any, host: Host, addresses: Sequence[Multiaddr]) -> None:
        self._host = host
        self._peers = by_server(addresses)
        self._away: set[Issuer] = set()
        self._loop = LoopingCall(self._dial_all)
        self._loop.clock = clock

    def start(self) -> None:
        """Dial them all at once."""
        self._loop.start(RECONNECT_SECONDS).addErrback(lambda failure: self.log.failure("Nobody reconnects", failure))

    def stop(self) -> None:
        """Dial nobody any more."""
        if self._loop.running:
            self._loop.stop()

    def _dial_all(self) -> Deferred[Any]:
        return gatherResults([Deferred.fromCoroutine(self._dial(one)) for one in self._peers])

    async def _dial(self, addresses: Issuer) -> None:
        try:
            await connect(self._host, addresses)
        except Libp2pError as error:
            level = LogLevel.debug if addresses in self._away else LogLevel.info
            self._away.add(addresses)
            self.log.emit(level, "{address} cannot be reached: {reason}", address=str(addresses[0]), reason=str(error))
            return
        if addresses in self._away:
            self._away.discard(addresses)
            self.log.info("{address} is reached again", address=str(addresses[0]))
