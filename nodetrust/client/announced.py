"""Which addresses a certified client announces. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import IPAddress, label_for_address, label_for_peer

PortOutside: TypeAlias = Callable[[IPAddress, int], int]
"""From a proven address and the port that is listened on to the port that others dial there."""


def wss_addresses(
    proven: Iterable[IPAddress],
    names: Collection[str],
    owner: PeerId,
    listening: Collection[Multiaddr],
    port_outside: PortOutside,
    *,
    peer: PeerId | None = None,
) -> list[Multiaddr]:
    """Where WSS can be dialled: under each certified name that spells a proven address, with /p2p.

    `owner` is whose certificate it is, `peer` whom others meet there, if that is another one. `listening` are the
    addresses that WSS is served on; an IPv6 address is not announced where only IPv4 is listened on.
    """
    found = []
    for ip in proven:
        name = certified_name(ip, owner, names)
        ports = {port_outside(ip, int(one.get("tcp") or 0)) for one in listening if reaches(one, ip)}
        if name is not None:
            found += [Multiaddr.parse(f"/dns{ip.version}/{name}/tcp/{port}/tls/ws") for port in sorted(ports)]
    return [address.with_peer_id(peer or owner) for address in found]


def certified_name(ip: IPAddress, peer: PeerId, names: Collection[str]) -> str | None:
    """The address's own name if the certificate has it, else its name below the peer's, if that has a wildcard."""
    label = label_for_address(ip)
    wildcard = f"*.{label_for_peer(peer)}."
    own = next((name for name in names if name.startswith(f"{label}.")), None)
    below = next((f"{label}.{name.removeprefix('*.')}" for name in names if name.startswith(wildcard)), None)
    return own or below


def reaches(listening: Multiaddr, ip: IPAddress) -> bool:
    """Whether a connection to `ip` can arrive there; a socket on `::` takes IPv4, too."""
    return listening.has(f"ip{ip.version}") or listening.get("ip6") == "::"
