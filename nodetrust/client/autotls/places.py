"""Which addresses a broker is asked to connect to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from ipaddress import IPv6Address, ip_address

from nodetrust.addresses import direct_ip, is_public, normalise
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.transports import TransportAddress
from nodetrust.names import IPAddress

MAX_PLACES = 16
"""Sent to a broker, which dials all of them."""

WITNESSES = 2
"""So many peers whom nobody has named must see us at an address."""


def places(
    listening: Iterable[Multiaddr],
    ips: Iterable[IPAddress],
    port_outside: Callable[[IPAddress, int], int],
    *,
    allow_private: bool = False,
) -> list[Multiaddr]:
    """Where this peer can be dialled over plain TCP or WS, without /p2p; public addresses, unless private ones may be.

    `listening` is where it listens or what its user has it announce; an unspecified address among them stands for each
    of `ips`, at the port that `port_outside` gives. What is a name is left out, for a broker wants IP addresses; and so
    is what has TLS, for which there may be no certificate yet.
    """
    found = [
        target.at(port)
        for one in listening
        if (plain := _plain(one)) is not None
        for target, port in _spread(plain, list(ips), port_outside)
        if allow_private or is_public(ip_address(target.host))
    ]
    return list(dict.fromkeys(found))[:MAX_PLACES]


def ips_of(addresses: Iterable[Multiaddr]) -> tuple[IPAddress, ...]:
    """The IP addresses in them, each once."""
    return tuple(dict.fromkeys(ip_address(one.get("ip4") or one.get("ip6") or "") for one in addresses))


def observed_by(connections: Iterable[Connection]) -> dict[PeerId, set[IPAddress]]:
    """What the peers that we have dialled say: where our connections to them come from."""
    observed: dict[PeerId, set[IPAddress]] = {}
    for one in connections:
        identify = one.remote_identify
        if one.outbound and identify is not None and identify.observed_address is not None:
            ip = direct_ip(identify.observed_address)
            if ip is not None:
                observed.setdefault(one.remote_peer, set()).add(ip)
    return observed


def seen_at(observed: Mapping[PeerId, Collection[IPAddress]], named: Collection[PeerId]) -> list[IPAddress]:
    """Where others see this peer: one of those whom the user has named, or several of the rest."""
    witnesses: dict[IPAddress, set[PeerId]] = {}
    for peer, ips in observed.items():
        for ip in ips:
            witnesses.setdefault(ip, set()).add(peer)
    return [ip for ip, peers in witnesses.items() if len(peers) >= WITNESSES or not peers.isdisjoint(named)]


def _plain(address: Multiaddr) -> TransportAddress | None:
    try:
        target = TransportAddress.from_multiaddr(address)
    except Libp2pError:
        return None
    return None if target.tls or target.host_protocol not in {"ip4", "ip6"} else target


def _spread(
    target: TransportAddress, ips: list[IPAddress], port_outside: Callable[[IPAddress, int], int]
) -> list[tuple[TransportAddress, int]]:
    host = ip_address(target.host)
    if not host.is_unspecified:
        return [(target, target.port)]
    both = isinstance(host, IPv6Address)  # a socket on `::` takes IPv4, too
    taken = [normalise(ip) for ip in ips if both or ip.version == host.version]
    return [
        (TransportAddress(f"ip{ip.version}", str(ip), target.port, target.websocket), port_outside(ip, target.port))
        for ip in taken
    ]
