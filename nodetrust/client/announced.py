"""Which addresses a certified client announces. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import IPAddress, autotls_label_for_address, label_for_address, label_for_peer

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

    An AutoTLS name comes in both of its forms: the long one spares whoever dials it the look-up of the name.
    """
    found = []
    for ip in proven:
        ports = sorted({port_outside(ip, int(one.get("tcp") or 0)) for one in listening if reaches(one, ip)})
        name = certified_name(ip, owner, names)
        if name is not None:
            found += [_short(ip, name, port) for port in ports]
        elif (name := autotls_name(ip, owner, names)) is not None:
            found += [form(ip, name, port) for port in ports for form in (_short, _long)]
    return [address.with_peer_id(peer or owner) for address in found]


def _short(ip: IPAddress, name: str, port: int) -> Multiaddr:
    return Multiaddr.parse(f"/dns{ip.version}/{name}/tcp/{port}/tls/ws")


def _long(ip: IPAddress, name: str, port: int) -> Multiaddr:
    return Multiaddr.parse(f"/ip{ip.version}/{ip}/tcp/{port}/tls/sni/{name}/ws")


def name_at(ip: IPAddress, peer: PeerId, names: Collection[str]) -> str | None:
    """The DNS name by which others find the peer at this address and for which its certificate is good, if any is."""
    return certified_name(ip, peer, names) or autotls_name(ip, peer, names)


def certified_name(ip: IPAddress, peer: PeerId, names: Collection[str]) -> str | None:
    """The address's own name if the certificate has it, else its name below the peer's, if that has a wildcard."""
    label = label_for_address(ip)
    own = next((name for name in names if name.startswith(f"{label}.")), None)
    return own or _below(label, label_for_peer(peer), names)


def autotls_name(ip: IPAddress, peer: PeerId, names: Collection[str]) -> str | None:
    """The address's name below the peer's CID, if the certificate has that wildcard."""
    return _below(autotls_label_for_address(ip), peer.to_cid_base36(), names)


def _below(label: str, owner: str, names: Collection[str]) -> str | None:
    wildcard = next((name for name in names if name.startswith(f"*.{owner}.")), None)
    return None if wildcard is None else label + wildcard.removeprefix("*")


def reaches(listening: Multiaddr, ip: IPAddress) -> bool:
    """Whether a connection to `ip` can arrive there; a socket on `::` takes IPv4, too."""
    return listening.has(f"ip{ip.version}") or listening.get("ip6") == "::"
