"""The announcer: says every few seconds where we are."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from nodetrust.discovery.announcement import MAX_ANNOUNCED_ADDRESSES, encode_announcement
from nodetrust.discovery.topic import TOPIC
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import PubSub

JITTER = 0.25
"""Each interval is longer or shorter by so much of itself at most: peers that started together do not stay together."""

SOON_SECONDS = 1.0
"""Between announcements that come sooner than the interval, and how often it is looked whether somebody is new."""

SOON_COUNT = 3
"""So many announcements after a start or a change come soon: the first may get lost in a mesh that is only forming."""


class Announcer:
    """Publishes our addresses from `start` to `stop`, while there are any.

    At once when they change, soon when a peer joins the topic that was not there, and every `interval` seconds, more or
    less (see `JITTER`).
    """

    log = Logger()

    def __init__(self, pubsub: PubSub, clock: IReactorTime, random: Random, interval: float) -> None:
        self._pubsub = pubsub
        self._clock = clock
        self._random = random
        self._interval = interval
        self._peer: PeerId | None = None
        self._addresses: tuple[Multiaddr, ...] = ()
        self._told: frozenset[PeerId] = frozenset()
        self._soon = 0
        self._next: IDelayedCall | None = None
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def start(self) -> None:
        """Begin to announce."""
        looking = self._looking.start(SOON_SECONDS, now=False)
        looking.addErrback(lambda failure: self.log.failure("Newcomers are not told soon", failure))
        self._changed()

    def stop(self) -> None:
        """Say nothing any more; others forget us within `EXPIRY_SECONDS`."""
        if self._looking.running:
            self._looking.stop()
        self._cancel_next()

    def set_addresses(self, addresses: Sequence[Multiaddr], peer: PeerId | None = None) -> None:
        """What to announce from now on, `MAX_ANNOUNCED_ADDRESSES` at most; without any, nothing.

        `peer` is who is there, where it may be another than the host that publishes.
        """
        first = tuple(addresses)[:MAX_ANNOUNCED_ADDRESSES]
        if (first, peer) == (self._addresses, self._peer):
            return
        self._addresses, self._peer = first, peer
        if self._looking.running:
            self._changed()

    def _changed(self) -> None:
        self._soon = SOON_COUNT
        self._publish()

    def _publish(self) -> None:
        self._cancel_next()
        if not self._addresses:
            return
        self._told = self._pubsub.peers(TOPIC)
        self._pubsub.publish(TOPIC, encode_announcement(self._addresses, self._peer))
        self._soon -= 1
        usual = self._interval * self._random.uniform(1 - JITTER, 1 + JITTER)
        self._next = self._clock.callLater(min(SOON_SECONDS, usual) if self._soon > 0 else usual, self._publish)

    def _look(self) -> None:
        if self._addresses and self._pubsub.peers(TOPIC) - self._told:
            self._publish()

    def _cancel_next(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
