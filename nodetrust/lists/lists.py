"""All lists together: what a denylist names is denied, unless an allowlist names it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.lists.entries import Entries

_CARRIERS = (
    IPv6Address("::ffff:0:0").packed[:12],  # RFC 4291 §2.5.5.2
    IPv6Address("64:ff9b::").packed[:12],  # RFC 6052 §2.1: any NAT64 on the way takes it
)
_SIX_TO_FOUR = b"\x20\x02"  # RFC 3056 §2: 2002::/16, and the IPv4 address of the site
_TEREDO = b"\x20\x01\0\0"  # RFC 4380 §4: the client's IPv4 address stands at the end, each bit turned


@dataclass(frozen=True, slots=True)
class Lists:
    """All lists that are in force, put together; replaced whole."""

    denied: Entries
    allowed: Entries

    def deny(self, packed: bytes) -> bool:
        """Whether the address of 4 or 16 octets is denied, or the IPv4 address that it leads to by itself."""
        forms = _forms(packed)
        return _any_in(forms, self.denied) and not _any_in(forms, self.allowed)

    def deny_peer(self, peer: PeerId, addresses: Iterable[IPv4Address | IPv6Address] = ()) -> bool:
        """Whether a peer that is at these addresses is denied: for itself, or for one of them.

        An allowlist that names the peer allows it wherever it is; one that names an address, whoever is there.
        """
        if peer in self.allowed.peers:
            return False
        places = [_forms(address.packed) for address in addresses]
        if peer in self.denied.peers:
            return not places or not all(_any_in(forms, self.allowed) for forms in places)
        return any(_any_in(forms, self.denied) and not _any_in(forms, self.allowed) for forms in places)


NO_LISTS = Lists(Entries(), Entries())


def _forms(packed: bytes) -> tuple[bytes, ...]:
    """The address, and the IPv4 address that an IPv6 address leads to by itself: mapped, translated or tunnelled."""
    if len(packed) == 4:
        return (packed,)
    if packed.startswith(_CARRIERS):
        return (packed, packed[12:])
    if packed.startswith(_SIX_TO_FOUR):
        return (packed, packed[2:6])
    if packed.startswith(_TEREDO):
        return (packed, bytes(octet ^ 0xFF for octet in packed[12:]))
    return (packed,)


def _any_in(forms: tuple[bytes, ...], entries: Entries) -> bool:
    return any(form in entries.prefixes for form in forms)
