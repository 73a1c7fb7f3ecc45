"""Which addresses are dialled for a peer that asks. Pure.

An address is dialled only if its IP address is the very one that the question came from. So nobody learns anything of
other people's machines, and nobody else gets as much as a packet. A name counts by what it spells: it is never looked
up, since an answer of the DNS could lead anywhere; the IP address is dialled, and the name said in TLS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from nodetrust.addresses import is_public
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.transports import TransportAddress
from nodetrust.messages import E_OTHER, CheckFault
from nodetrust.names import (
    IPAddress,
    address_from_label,
    check_certificate_name,
    packed_address_from_autotls_label,
    peer_from_autotls_label,
)
from nodetrust.reachability.errors import Refusal
from nodetrust.reachability.outcome import Outcome

MAX_ADDRESSES = 8
"""Of one request; a node has a port or two at each of its IP addresses. Ours."""

FIRST_FREE_PORT = 1024
WEB_PORTS = frozenset({80, 443})
"""The only ports below 1024 that are dialled. The others belong to mail, LDAP and their like, whose operators take a
stranger's greeting for a scan, and who shares an address with others (carrier NAT, VPN) must not scan those."""

BROWSERS_PORTS = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, *range(6665, 6670), 6679, 6697, 10080}
)
"""Those from 1024 on that no browser dials: https://fetch.spec.whatwg.org/#port-blocking. A node is of no use there,
and what listens there instead is what that list protects."""

_VERSIONS = {"ip4": 4, "dns4": 4, "ip6": 6, "dns6": 6}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator has settled."""

    zone: str | None = None
    """The zone of the names that are dialled; None: a name of any zone that spells the address."""
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks. The IP addresses are normalised, and the two ends of the asking connection."""

    peer: PeerId
    ip: IPAddress
    arrived_at: IPAddress | None


@dataclass(frozen=True, slots=True)
class Dial:
    """An address to dial, with an IP address in place of a name, and the peer to meet there."""

    address: Multiaddr
    peer: PeerId


class _NotAllowed(NodetrustError):
    pass


def decide(addresses: Sequence[bytes], asker: Asker, rules: Rules) -> list[Dial | Outcome]:
    """For each binary multiaddr what to dial, or that it is not allowed and why.

    Raises `Refusal` where there are too many, or none.
    """
    if not 0 < len(addresses) <= MAX_ADDRESSES:
        raise Refusal(E_OTHER, f"expected 1 to {MAX_ADDRESSES} addresses, got {len(addresses)}")
    return [_decide_one(address, asker, rules) for address in addresses]


def port_refused(port: int) -> str | None:
    """Why a port is not dialled for anybody; None if it is."""
    if port < FIRST_FREE_PORT and port not in WEB_PORTS:
        return f"port {port} is not dialled: below {FIRST_FREE_PORT}, only 80 and 443 are"
    if port in BROWSERS_PORTS:
        return f"port {port} is not dialled: no browser dials it"
    return None


def spelled_ip(address: Multiaddr) -> IPAddress | None:
    """The IP address that an address has, or that the first label of its name spells."""
    first = address.components[0]
    if first.name in {"ip4", "ip6"}:
        return ip_address(first.value or "")
    return _spelled_by(first.value or "") if first.name.startswith("dns") else None


def _spelled_by(name: str) -> IPAddress | None:
    """The address that a name spells with its first label, or with that in front of a peer's, as AutoTLS names do."""
    label, _, rest = name.partition(".")
    if peer_from_autotls_label(rest.partition(".")[0]) is not None:
        packed = packed_address_from_autotls_label(label)
        return None if packed is None else ip_address(packed)
    return address_from_label(label)


def _decide_one(raw: bytes, asker: Asker, rules: Rules) -> Dial | Outcome:
    try:
        _check_asker(asker, rules)
        return _dial(Multiaddr.from_bytes(raw), asker.ip, rules.zone)
    except (_NotAllowed, NodetrustError, Libp2pError) as error:
        return Outcome(CheckFault.NOT_ALLOWED, str(error))


def _check_asker(asker: Asker, rules: Rules) -> None:
    if rules.allow_private:
        return
    if not is_public(asker.ip):
        raise _NotAllowed(f"you come from {asker.ip}, which is not a public address")
    if asker.ip == asker.arrived_at:  # what a firewall keeps from others may be open to us
        raise _NotAllowed(f"you come from {asker.ip}, where this server is: it cannot see what others see")


def _dial(address: Multiaddr, ip: IPAddress, zone: str | None) -> Dial:
    peer = address.peer_id
    if peer is None:
        raise _NotAllowed("it does not end in /p2p/PEER-ID")
    target = TransportAddress.from_multiaddr(address)
    if not target.tls:
        raise _NotAllowed("only /tls/ws and /wss are checked: browsers dial nothing else")
    refused = port_refused(target.port)
    if refused is not None:
        raise _NotAllowed(refused)
    named = [] if target.host_protocol in {"ip4", "ip6"} else [target.host]
    names = [name.lower() for name in (*named, target.sni) if name]
    for name in names:
        _check_name(name, ip, zone)
    if spelled_ip(address) != ip or _VERSIONS.get(target.host_protocol, ip.version) != ip.version:
        raise _NotAllowed(f"you come from {ip}, and no other address is dialled for you")
    server_name = [("sni", names[-1])] if names else []
    layers = [("tcp", target.port), ("tls", None), *server_name, ("ws", None)]
    return Dial(Multiaddr.of((f"ip{ip.version}", str(ip)), *layers), peer)


def _check_name(name: str, ip: IPAddress, zone: str | None) -> None:
    """Whether a name is one that a CA signs (so it carries nothing but letters, digits, - and .) and spells `ip`."""
    check_certificate_name(name)
    if zone is not None and not name.endswith(f".{zone}"):
        raise _NotAllowed(f"{name} is not in {zone}")
    spelled = _spelled_by(name)
    if spelled is None:
        raise _NotAllowed(f"{name} spells no address, and names are not looked up")
    if spelled != ip:
        raise _NotAllowed(f"{name} spells {spelled}, and you come from {ip}")
