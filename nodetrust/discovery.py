"""How certified peers find each other: the announcement, and the pubsub topic that carries it.

A client publishes an `Announce` with its addresses every few seconds; who is at those addresses is the author of the
pubsub message, whose signature pubsub has checked. Servers join the topic only to relay it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import SystemRandom

from twisted.internet.interfaces import IReactorTime

from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import PubSub, PubSubMessage, Verdict
from nodetrust.messages import MAX_ANNOUNCE_BYTES, Announce, InvalidMessage, parse

TOPIC = "nodetrust_discovery_v2"

MAX_ANNOUNCED_ADDRESSES = 16
"""More than a peer has; a longer announcement is refused."""


class InvalidAnnouncement(NodetrustError):
    """An announcement that does not parse, is too large, or names another peer than its author."""


def encode_announcement(addresses: Iterable[Multiaddr]) -> bytes:
    """The payload that announces `addresses`, each of which ends in the author's /p2p."""
    return Announce(addr=[bytes(address) for address in addresses]).SerializeToString()


def decode_announcement(payload: bytes, author: PeerId) -> list[Multiaddr]:
    """The addresses that `author` announces, each with its /p2p; raises `InvalidAnnouncement`.

    Addresses of a kind that we do not know are left out: a newer peer may announce them beside others.
    """
    if len(payload) > MAX_ANNOUNCE_BYTES:
        raise InvalidAnnouncement("the announcement is too large")
    try:
        raw = parse(Announce, payload).addr
    except InvalidMessage as error:
        raise InvalidAnnouncement("the announcement does not parse") from error
    if len(raw) > MAX_ANNOUNCED_ADDRESSES:
        raise InvalidAnnouncement("the announcement has too many addresses")
    addresses = [address for one in raw if (address := _read_address(one)) is not None]
    if not addresses:
        raise InvalidAnnouncement("the announcement has no address that can be read")
    if any(address.peer_id not in (None, author) for address in addresses):
        raise InvalidAnnouncement("the announcement names another peer than its author")
    return [address.without_peer_id().with_peer_id(author) for address in addresses]


def _read_address(address: bytes) -> Multiaddr | None:
    try:
        return Multiaddr.from_bytes(address)
    except Libp2pError:
        return None


def start_pubsub(host: Host, clock: IReactorTime) -> PubSub:
    """Pubsub on `host`, started; whoever started it stops it."""
    pubsub = PubSub(host, clock, SystemRandom())
    pubsub.start()
    return pubsub


def watch(pubsub: PubSub, found: Callable[[PeerId, list[Multiaddr]], None]) -> Callable[[], None]:
    """Call `found` with the author and the addresses of each announcement; returns what ends the watch."""

    def received(message: PubSubMessage) -> None:
        found(message.source, decode_announcement(message.data, message.source))

    return pubsub.subscribe(TOPIC, received, _judge)


def relay(pubsub: PubSub) -> Callable[[], None]:
    """Join the topic only to carry others' announcements; returns what leaves it."""
    return pubsub.subscribe(TOPIC, lambda message: None, _judge)


def _judge(message: PubSubMessage) -> Verdict:
    """What is no announcement is neither delivered nor carried, and counts against whoever sent it."""
    try:
        decode_announcement(message.data, message.source)
    except InvalidAnnouncement:
        return Verdict.REJECT
    return Verdict.ACCEPT
