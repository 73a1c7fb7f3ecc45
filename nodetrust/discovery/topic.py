"""The pubsub topic that carries announcements.

Who announces is the author of the pubsub message, whose signature pubsub has checked.
"""

from __future__ import annotations

from collections.abc import Callable
from random import SystemRandom

from twisted.internet.interfaces import IReactorTime

from nodetrust.discovery.announcement import decode_announcement
from nodetrust.discovery.errors import InvalidAnnouncement
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import HighestNumbers, Numbers, PubSub, PubSubMessage, Verdict

TOPIC = "nodetrust_discovery_v2"


def start_pubsub(host: Host, clock: IReactorTime, numbers: Numbers | None = None) -> PubSub:
    """Pubsub on `host`, started; whoever started it stops it.

    `numbers` are those of our messages, such as `SequenceNumbers`; the clock does for whoever announces nothing.
    """
    pubsub = PubSub(host, clock, SystemRandom(), numbers=numbers)
    pubsub.start()
    return pubsub


def watch(pubsub: PubSub, found: Callable[[PeerId, list[Multiaddr]], None]) -> Callable[[], None]:
    """Call `found` with the peer and the addresses of every single announcement; returns what ends the watch.

    `Discovery` has who is announced now, and tells only what is new.
    """

    def received(message: PubSubMessage) -> None:
        announcement = decode_announcement(message.data, message.source)
        found(announcement.peer, list(announcement.addresses))

    return pubsub.subscribe(TOPIC, received, judge)


def relay(pubsub: PubSub) -> Callable[[], None]:
    """Join the topic only to carry others' announcements, and no old one again; returns what leaves it."""
    highest = HighestNumbers()

    def judge_new(message: PubSubMessage) -> Verdict:
        verdict = judge(message)
        if verdict is Verdict.ACCEPT and not highest.admit(message.source, message.seqno):
            return Verdict.IGNORE
        return verdict

    return pubsub.subscribe(TOPIC, lambda message: None, judge_new)


def judge(message: PubSubMessage) -> Verdict:
    """What is no announcement is neither delivered nor carried; see `refused`."""
    try:
        decode_announcement(message.data, message.source)
    except InvalidAnnouncement:
        return refused(message)
    return Verdict.ACCEPT


def refused(message: PubSubMessage) -> Verdict:
    """The verdict on what is no announcement: it counts against its author alone.

    Others may have carried it in good faith. A node of another make looks at signatures, and knows nothing of what
    announcements are: with three messages that are none, anybody could have us listen no more to any of them.
    """
    return Verdict.REJECT if message.received_from == message.source else Verdict.IGNORE
