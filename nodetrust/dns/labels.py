"""Labels as octets of a query, read by the rules of `nodetrust.names`."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from nodetrust import names
from nodetrust.dns.errors import BrokenLabel
from nodetrust.libp2p.peer_id import PeerId

Meaning: TypeAlias = IPv4Address | IPv6Address | PeerId

CHALLENGE_LABEL = names.CHALLENGE_PREFIX.encode("ascii")
MAX_PEERS = 4096
"""Labels of AutoTLS names remembered as those of peers, or of none: reading one costs a fifth of an answer."""

PERSIST_LABEL = b"_validation-persist"
IPV4_PREFIX = names.IPV4_PREFIX.encode("ascii")
IPV6_PREFIX = names.IPV6_PREFIX.encode("ascii")
PEER_PREFIX = names.PEER_PREFIX.encode("ascii")


@lru_cache(maxsize=MAX_PEERS)
def read_autotls_peer(label: bytes) -> PeerId | None:
    """The peer whose CID this lower-case label is; None for every other label."""
    return names.peer_from_autotls_label(label.decode("ascii", "replace"))


def read_autotls_address(label: bytes) -> IPv4Address | IPv6Address | None:
    """The address that the first label of an AutoTLS name spells; None for every other label."""
    packed = names.packed_address_from_autotls_label(label.decode("ascii", "replace"))
    if packed is None:
        return None
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)


def read_label(label: bytes) -> Meaning | None:
    """The address or peer ID that a lower-case label spells; None for a label that does not begin like one of ours.

    Raises BrokenLabel for one that does and spells nothing: `ip4256-1-1-1`, `ip41-2-3`, `proof`.
    """
    if not label.startswith((IPV4_PREFIX, IPV6_PREFIX, PEER_PREFIX)):
        return None
    text = label.decode("ascii", "replace")  # what replaces an octet is in none of the alphabets
    meaning: Meaning | None
    meaning = names.peer_from_label(text) if label.startswith(PEER_PREFIX) else names.address_from_label(text)
    if meaning is None:
        raise BrokenLabel(f"the label {text!r} begins like an address or a peer ID and is none")
    return meaning
