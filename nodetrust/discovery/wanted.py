"""Which announced addresses a listener wants to know of. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address

from nodetrust.addresses import is_public, normalise
from nodetrust.discovery.announcement import Announcement
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import (
    IPAddress,
    address_from_label,
    packed_address_from_autotls_label,
    peer_from_autotls_label,
    peer_from_label,
)

_NAMES = frozenset({"dns", "dns4", "dns6", "dnsaddr", "sni"})
_ADDRESSES = frozenset({"ip4", "ip6"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rules for addresses; without any, all are wanted.

    What breaks a rule is left out, and the others stay: one topic serves every zone, so a peer that has names in two of
    them, or an address on its own network beside a public one, does nothing wrong.
    """

    zones: frozenset[str] | None = None
    """In lower case. A name must lie in one of them, and spell an address or be at or below the announcing peer's own:
    all other names of a zone lead nowhere, or to its operator's machines. None: names of every kind."""
    allow_private: bool = True
    """Whether addresses that are not public are wanted, as they are and as names spell them."""

    def of(self, announcement: Announcement) -> Announcement | None:
        """The announcement with what is wanted of it; None if that is nothing."""
        peers = {announcement.author, announcement.peer}
        addresses = tuple(address for address in announcement.addresses if self._wants(address, peers))
        return replace(announcement, addresses=addresses) if addresses else None

    def to_dial(self, address: Multiaddr) -> Multiaddr | None:
        """Where to dial an announced address; None: nowhere.

        Unless private addresses are wanted no name is looked up: whoever announces it decides what its DNS server says,
        which may be any machine near us. The IP address that the name spells is dialled, and TLS asks for the name.
        """
        first, *rest = address.components
        if self.allow_private or first.name in _ADDRESSES:
            return address
        spelt = _spelt([first.value or ""])
        if not spelt:
            return None
        layers = [(part.name, part.value) for part in rest]
        shape = [name for name, _ in layers]
        if "wss" in shape:
            at = shape.index("wss")
            layers[at : at + 1] = [("tls", None), ("sni", first.value), ("ws", None)]
        elif "tls" in shape and "sni" not in shape:
            layers.insert(shape.index("tls") + 1, ("sni", first.value))
        return Multiaddr.of((f"ip{spelt[0].version}", str(spelt[0])), *layers)

    def _wants(self, address: Multiaddr, peers: set[PeerId]) -> bool:
        names = [part.value or "" for part in address.components if part.name in _NAMES]
        ips = [normalise(ip_address(part.value or "")) for part in address.components if part.name in _ADDRESSES]
        if self.zones is not None and not all(self._in_zone(name, peers) for name in names):
            return False
        return self.allow_private or all(map(is_public, [*ips, *_spelt(names)]))

    def _in_zone(self, name: str, peers: set[PeerId]) -> bool:
        labels = name.lower().removesuffix(".").split(".")
        below = next(
            (labels[:end] for end in range(1, len(labels)) if ".".join(labels[end:]) in (self.zones or ())), []
        )
        return bool(below) and (
            address_from_label(below[0]) is not None
            or any(peer_from_label(label) in peers for label in below)
            or _is_autotls(below, peers)
        )


def _spelt(names: Iterable[str]) -> list[IPAddress]:
    """The addresses that the names spell; where a name leads that spells none, its DNS server alone knows."""
    spelt = []
    for name in names:
        first, _, rest = name.partition(".")
        address = address_from_label(first)
        if address is None and peer_from_autotls_label(rest.partition(".")[0]) is not None:
            packed = packed_address_from_autotls_label(first)
            address = None if packed is None else ip_address(packed)
        if address is not None:
            spelt.append(normalise(address))
    return spelt


def _is_autotls(below: list[str], peers: set[PeerId]) -> bool:
    """Whether the labels are an address and a peer's CID, which mean something just below the zone alone."""
    return (
        len(below) == 2
        and packed_address_from_autotls_label(below[0]) is not None
        and peer_from_autotls_label(below[1]) in peers
    )
