"""What a peer announces about itself, or about the peer behind it: bytes ⇄ values. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from nodetrust.discovery.errors import InvalidAnnouncement
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import MAX_ANNOUNCE_BYTES, Announce, InvalidMessage, parse

MAX_ANNOUNCED_ADDRESSES = 16
"""More than a peer has; a longer announcement is refused."""

MAX_COMPONENTS = 12
"""Parts of one address; a relayed WSS address has nine. Ours: each part is an object, thirty times its bytes."""

MAX_PLACES = 3
"""IP addresses and names in one address: a relay's, its name for TLS, and a peer's. Ours: to judge one takes as long as
to read several parts."""

_PLACES = frozenset({"ip4", "ip6", "dns", "dns4", "dns6", "dnsaddr", "sni"})


@dataclass(frozen=True, slots=True)
class Announcement:
    """`author`, who has signed it, says that `peer` is at these addresses; each ends in /p2p of `peer`, none is twice.

    They differ where the author only forwards connections, to a node that knows nothing of nodetrust. Then the word is
    the author's alone; who is there shows when it is dialled.
    """

    author: PeerId
    peer: PeerId
    addresses: tuple[Multiaddr, ...]


def encode_announcement(addresses: Iterable[Multiaddr], peer: PeerId | None = None) -> bytes:
    """The payload that announces `addresses`; `peer` is who is there, where it is not the author."""
    return Announce(
        addr=[bytes(address) for address in addresses], peer=None if peer is None else bytes(peer)
    ).SerializeToString()


def decode_announcement(payload: bytes, author: PeerId) -> Announcement:
    """What `author` announces; raises `InvalidAnnouncement`.

    Addresses of a kind that we do not know are left out: a newer peer may announce them beside others. One that names
    another peer spoils the whole.
    """
    if len(payload) > MAX_ANNOUNCE_BYTES:
        raise InvalidAnnouncement("the announcement is too large")
    try:
        message = parse(Announce, payload)
        peer = PeerId(message.peer) if message.HasField("peer") else author
    except (InvalidMessage, Libp2pError) as error:
        raise InvalidAnnouncement("the announcement does not parse") from error
    if len(message.addr) > MAX_ANNOUNCED_ADDRESSES:
        raise InvalidAnnouncement("the announcement has too many addresses")
    end = Multiaddr.of(("p2p", str(peer)))
    readable = (_read_address(address, peer, end) for address in message.addr)
    addresses = tuple(dict.fromkeys(address for address in readable if address is not None))
    if not addresses:
        raise InvalidAnnouncement("the announcement has no address that can be read")
    return Announcement(author, peer, addresses)


def _read_address(data: bytes, peer: PeerId, end: Multiaddr) -> Multiaddr | None:
    """The address with `end`, the /p2p of `peer`; None for a kind that we do not know, or no place at all."""
    try:
        address = Multiaddr.from_bytes(data)
        named = address.peer_id
        whole = address / end if named is None else address
    except Libp2pError:
        return None
    if named not in (None, peer):
        raise InvalidAnnouncement("the announcement has an address of another peer than it is about")
    places = sum(component.name in _PLACES for component in whole.components)
    return whole if 1 < len(whole.components) <= MAX_COMPONENTS and places <= MAX_PLACES else None
