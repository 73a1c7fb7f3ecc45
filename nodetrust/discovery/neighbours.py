"""Neighbours: connections to several peers of the topic, so that no single server is needed any more."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.discovery.neighbourhood import Neighbourhood
from nodetrust.discovery.service import Discovery
from nodetrust.discovery.table import Announced
from nodetrust.discovery.topic import TOPIC
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import PubSub
from nodetrust.libp2p.pubsub.parameters import PROTOCOLS

WANTED = 6
"""As many as gossipsub's mesh has (D): with fewer connections the mesh is not full."""

LOOK_SECONDS = 1.0
"""How often it is looked who is there; pubsub's heartbeat."""


class Neighbours:
    """From `start` to `stop` dials peers of `discovery` while fewer than `wanted` connected peers are in the topic.

    A dialled peer that does not join the topic is left again, unless its connection serves something else. Peers are
    strangers: give a discovery whose `wanted` rules out what this host should not dial.
    """

    log = Logger()

    def __init__(
        self,
        host: Host,
        pubsub: PubSub,
        discovery: Discovery,
        clock: IReactorTime,
        random: Random,
        *,
        wanted: int = WANTED,
    ) -> None:
        self._host = host
        self._pubsub = pubsub
        self._discovery = discovery
        self._seconds: Callable[[], float] = discovery.seconds
        self._neighbourhood = Neighbourhood(host.peer_id, random, wanted)
        self._dialled: dict[PeerId, Connection] = {}
        self._dials: set[Deferred[None]] = set()
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def start(self) -> None:
        """Begin to look, now and every second."""
        self._looking.start(LOOK_SECONDS).addErrback(lambda failure: self.log.failure("No new neighbours", failure))

    def stop(self) -> None:
        """Dial nobody any more. Connections stay: they are the host's."""
        if self._looking.running:
            self._looking.stop()
        for dial in list(self._dials):
            dial.cancel()

    def _look(self) -> None:
        self._dialled = {peer: one for peer, one in self._dialled.items() if not one.closed}
        connected = {connection.remote_peer for connection in self._host.connections()}
        joined = self._pubsub.peers(TOPIC)
        step = self._neighbourhood.step(self._discovery.peers(), connected, joined, self._seconds())
        for peer in step.leave:
            self._leave(peer)
        for entry in step.dial:
            dial = Deferred.fromCoroutine(self._dial(entry))
            self._dials.add(dial)
            dial.addBoth(self._dial_over, dial)

    async def _dial(self, entry: Announced) -> None:
        peer = entry.announcement.peer
        try:
            self._dialled[peer] = await self._host.connect(self._discovery.places(entry.announcement), peer)
        except (Libp2pError, CancelledError) as reason:
            self._neighbourhood.failed(peer, self._seconds())
            self.log.debug("No neighbour: {reason}", reason=str(reason))
        else:
            self._neighbourhood.reached(peer, self._seconds())

    def _dial_over(self, result: Failure | None, dial: Deferred[None]) -> None:
        self._dials.discard(dial)
        if result is not None:
            self.log.failure("Dialling a neighbour failed", result)

    def _leave(self, peer: PeerId) -> None:
        connection = self._dialled.get(peer)
        if (
            connection is not None
            and connection.outbound
            and all(spoken in PROTOCOLS for spoken in connection.spoken())
        ):
            connection.close()
