"""What a person can do about an address that is not reachable from outside. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network

from nodetrust.addresses import is_public
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports import TransportAddress
from nodetrust.messages import CheckFault
from nodetrust.names import IPAddress
from nodetrust.reachability.decide import spelled_ip

CARRIERS = ip_network("100.64.0.0/10")
"""What providers number customers with that have no public address of their own: RFC 6598."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """An address that was checked, and what is known beside the outcome."""

    address: Multiaddr
    fault: CheckFault
    mapped: bool = False
    """Whether the router has said that it forwards the port to this machine."""
    router_ip: IPAddress | None = None
    """The router's own address outside, if it has told it."""
    no_public_address: bool = False
    """Whether the router has said that it has none."""


def advise(unreachable: Unreachable) -> str:
    """One sentence that says what is wrong, and what to do about it."""
    target = TransportAddress.from_multiaddr(unreachable.address)
    ip = spelled_ip(unreachable.address)
    host = target.host if ip is None else str(ip)
    place = f"[{host}]:{target.port}" if ":" in host else f"{host}:{target.port}"
    if unreachable.fault == CheckFault.TIMED_OUT:
        return _about_silence(unreachable, place, target.port, ip)
    return _SENTENCES[unreachable.fault].format(place=place, port=target.port, name=target.server_name)


def _about_silence(unreachable: Unreachable, place: str, port: int, ip: IPAddress | None) -> str:
    router = unreachable.router_ip
    if isinstance(ip, IPv4Address) and router is not None and router != ip:
        return _about_two_routers(place, router, ip)
    if unreachable.no_public_address and not (ip is not None and ip.version == 6):
        return (
            f"{place} does not answer from outside: your router says that it has no public address itself, so your "
            "provider shares one among customers, or there is a second router behind it; ask the provider for a public "
            "IPv4 address, or forward the port at the second router as well, or use IPv6"
        )
    if unreachable.mapped:
        return (
            f"{place} does not answer from outside although the router forwards the port: a firewall drops it, on this "
            f"machine or at your provider; allow TCP port {port} to come in"
        )
    if ip is not None and ip.version == 6:
        return (
            f"{place} does not answer from outside: a firewall drops it, on this machine or in the router, as most "
            f"routers do with IPv6; allow TCP port {port} to this machine in both"
        )
    return (
        f"{place} does not answer from outside: a firewall or a router without a port mapping drops it; open TCP port "
        f"{port}, or forward it to this machine, or give --wss-port if the router maps another one"
    )


def _about_two_routers(place: str, router: IPAddress, ip: IPv4Address) -> str:
    begin = f"{place} does not answer from outside: your router's own address is {router} and not {ip}, "
    if router in CARRIERS:
        return begin + (
            "which your provider shares among customers, so that nobody can connect to you; ask the provider for a "
            "public IPv4 address, or use IPv6"
        )
    if not is_public(router):
        return begin + (
            "so there is a second router behind it, yours or your provider's; forward the port there as well, or use "
            "the second one as a mere bridge, or ask the provider for a public IPv4 address, or use IPv6"
        )
    return begin + (
        "so connections go out another way than they can come in (a VPN, a second line, or addresses that the provider "
        "shares among customers); let this machine use the router's line alone, or use IPv6"
    )


_SENTENCES = {
    CheckFault.CONNECTION_REFUSED: (
        "{place} refuses connections from outside: nothing listens there; see that this machine is where the router "
        "forwards TCP port {port}, that the port there is one of --wss-listen, and that no firewall rejects it"
    ),
    CheckFault.TLS_FAILED: (
        "{place} answers, but not with a certificate for {name} that others trust: if the certificate here is good, "
        "another program or machine has the port; stop it, or forward the port to this machine, or take another port "
        "with --wss-listen"
    ),
    CheckFault.NO_LIBP2P: (
        "{place} accepts connections, but no node speaks there: another program, a proxy or the router itself has TCP "
        "port {port}; free it, or take another port with --wss-listen"
    ),
    CheckFault.WRONG_PEER: (
        "{place} is answered by another node: the router forwards TCP port {port} to another machine, or another node "
        "runs on this one; forward the port to this node, or take another port with --wss-listen"
    ),
    CheckFault.NOT_ALLOWED: (
        "nobody has dialled {place} from outside, as servers dial only the address that they are asked from, and "
        "ports that browsers dial; have this machine use that address for its own connections, or dial it by hand from "
        "elsewhere to know"
    ),
    CheckFault.FAILED: (
        "{place} cannot be reached from outside: see that the address is still yours, and that no firewall, here or in "
        "the router, rejects TCP port {port}"
    ),
}
