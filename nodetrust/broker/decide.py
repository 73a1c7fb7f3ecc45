"""Who may have what dialled. Pure.

Strangers say what the broker dials, so it must be of no use to reach what only the broker can reach, nor to disturb
others: public addresses alone unless the operator opens networks, nothing that is the broker's own, no port that is
somebody else's. A name counts by the addresses that it has at one moment: those are looked at, and those are dialled.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

from nodetrust.addresses import normalise, special_block
from nodetrust.broker.errors import Refusal, Tried
from nodetrust.broker.wire import BAD_REQUEST
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.transports import TransportAddress
from nodetrust.lists.lists import NO_LISTS, Lists
from nodetrust.messages import readable
from nodetrust.names import InvalidName, IPAddress, check_certificate_name
from nodetrust.reachability.decide import Dial, port_refused

MAX_ADDRESSES = 64
"""Of one request: clients send all that they have, one a transport at each of their IP addresses. Ours."""

MAX_DIALS = 8
"""Of these so many sockets are dialled, the first ones; and so many names are looked up. Ours."""

MAX_SHOWN_CHARACTERS = 300
"""Of an address or a message that is told back."""

FORBIDDEN = 403
NOT_ALLOWED = "NOT_ALLOWED"

_NAME_PROTOCOLS = ("dns", "dns4", "dns6")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator has settled, and what the broker knows of itself."""

    access_token: str = ""
    """What `Forge-Authorization` must be; anything goes where this is empty."""
    allow_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Dialled although they are not public."""
    own_places: frozenset[tuple[IPAddress, int]] = frozenset()
    """Where services of ours listen elsewhere; their IP addresses are not dialled at all, but in `allow_networks`."""
    own_ports: frozenset[int] = frozenset()
    """At which this machine's do; it is not dialled at all, but in `allow_networks`."""
    is_own: Callable[[IPAddress], bool] = lambda _: False
    """Whether an address is this machine's."""
    same_address: bool = False
    """Only what is at the address that the request came from counts."""
    lists: Lists = NO_LISTS


@dataclass(frozen=True, slots=True)
class Visit:
    """Who asks, and from where. `ips`: the client's first, then those that proxies say it came over."""

    peer: PeerId
    ips: tuple[IPAddress, ...]
    user_agent: str = ""

    @property
    def ip(self) -> IPAddress:
        """The client's."""
        return self.ips[0]


@dataclass(frozen=True, slots=True)
class Named:
    """An address whose name is still to be looked up."""

    text: str
    target: TransportAddress


@dataclass(frozen=True, slots=True)
class Chosen:
    """A socket to dial for the address that was written so."""

    text: str
    dial: Dial


def check_token(rules: Rules, given: str | None) -> None:
    """Raises `Refusal`."""
    wanted = rules.access_token
    if wanted and not hmac.compare_digest((given or "").encode("latin-1", "replace"), wanted.encode()):
        raise Refusal(FORBIDDEN, "403 Forbidden: Missing Forge-Authorization header.")


def check_lists(rules: Rules, visit: Visit, addresses: Iterable[str]) -> None:
    """Raises `Refusal` for who is denied, and for who names an address that is."""
    lists = rules.lists
    for client in visit.ips:
        if lists.deny_peer(visit.peer, [client]):
            raise Refusal(FORBIDDEN, f"403 Forbidden: client IP {client} blocked by the denylist of this broker")
    for text in addresses:
        place = _read(text)
        ip = None if isinstance(place, Tried) else _literal(place.target)
        if ip is not None and lists.deny_peer(visit.peer, [ip]):
            raise Refusal(FORBIDDEN, f"403 Forbidden: multiaddr IP {ip} blocked by the denylist of this broker")


def choose(addresses: Sequence[str], visit: Visit, rules: Rules) -> list[Chosen | Named | Tried]:
    """For each address what to dial, what to look up, or why neither. Raises `Refusal` for too many, or none."""
    if not 0 < len(addresses) <= MAX_ADDRESSES:
        text = f"error testing addresses: expected 1 to {MAX_ADDRESSES} addresses, got {len(addresses)}"
        raise Refusal(BAD_REQUEST, text)
    return [_choose_one(text, visit, rules) for text in dict.fromkeys(addresses)]


def choose_of_name(named: Named, ips: Iterable[str], visit: Visit, rules: Rules) -> list[Chosen | Tried]:
    """The same for the addresses that a name has."""
    return [_at(named.text, named.target, normalise(ip_address(ip)), visit, rules) for ip in ips]


def shown(text: str) -> str:
    """What of a stranger's text is told back."""
    return readable(text)[:MAX_SHOWN_CHARACTERS]


def _choose_one(text: str, visit: Visit, rules: Rules) -> Chosen | Named | Tried:
    place = _read(text)
    if isinstance(place, Tried):
        return place
    target = place.target
    if place.peer not in (None, visit.peer):
        return _refused(text, f"it is of another peer than {visit.peer}")
    refused = port_refused(target.port)
    if refused is not None:
        return _refused(text, refused)
    try:
        for name in (target.sni, target.host if target.host_protocol in _NAME_PROTOCOLS else None):
            if name is not None:
                check_certificate_name(name.lower())
    except InvalidName as error:
        return _refused(text, str(error))
    ip = _literal(target)
    return Named(text, target) if ip is None else _at(text, target, ip, visit, rules)


@dataclass(frozen=True, slots=True)
class _Place:
    target: TransportAddress
    peer: PeerId | None


@lru_cache(maxsize=256)
def _read(text: str) -> _Place | Tried:
    # Cached, because the lists are asked about the addresses of a request, and then it is settled what is dialled.
    try:
        address = Multiaddr.parse(text)
        return _Place(TransportAddress.from_multiaddr(address), address.peer_id)
    except Libp2pError as error:
        return _refused(text, str(error))


def _literal(target: TransportAddress) -> IPAddress | None:
    return normalise(ip_address(target.host)) if target.host_protocol in {"ip4", "ip6"} else None


def _at(text: str, target: TransportAddress, ip: IPAddress, visit: Visit, rules: Rules) -> Chosen | Tried:
    refused = _why_not(ip, target.port, visit, rules)
    if refused is not None:
        return _refused(text, refused)
    layers: list[tuple[str, str | int | None]] = [("tcp", target.port)]
    if target.tls:
        name = target.sni or (target.host if target.host_protocol in _NAME_PROTOCOLS else None)
        layers += [("tls", None), *([("sni", name)] if name else [])]
    if target.websocket:
        layers += [("ws", None)]
    return Chosen(text, Dial(Multiaddr.of((f"ip{ip.version}", str(ip)), *layers), visit.peer))


def _why_not(ip: IPAddress, port: int, visit: Visit, rules: Rules) -> str | None:
    is_open = any(ip in network for network in rules.allow_networks)
    block = special_block(ip)
    if block is not None and not is_open:
        return f"{ip} is not public: {block.purpose} ({block.source})"
    if _is_ours(ip, port, rules, any_port=not is_open):
        return f"{ip} port {port} is where this broker's own services are"
    if rules.lists.deny_peer(visit.peer, [ip]):
        return f"{ip} is on the denylist of this broker"
    if rules.same_address and ip != visit.ip:
        return f"you come from {visit.ip}, and no other address is dialled for you"
    return None


def _is_ours(ip: IPAddress, port: int, rules: Rules, *, any_port: bool) -> bool:
    if any(ip == own and (any_port or port == at) for own, at in rules.own_places):
        return True
    return (any_port or port in rules.own_ports) and rules.is_own(ip)


def _refused(text: str, reason: str) -> Tried:
    return Tried(shown(text), NOT_ALLOWED, shown(reason))
