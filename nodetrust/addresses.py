"""Which IP addresses are public: reachable from everywhere, and one machine's own. And a connection's address. Pure.

The tables are IANA's special-purpose address registries, and the multicast and reserved space beside them:
https://www.iana.org/assignments/iana-ipv4-special-registry, https://www.iana.org/assignments/iana-ipv6-special-registry.
Stricter than the registries' column "globally reachable" where an address is no machine's own: protocol anycast, and
the prefixes that stand for an IPv4 address behind a translator or tunnel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from nodetrust.libp2p.multiaddr import Multiaddr

IPAddress: TypeAlias = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class SpecialBlock:
    """Addresses that no proof and no certificate may name, what they are for, and who says so."""

    network: IPv4Network | IPv6Network
    purpose: str
    source: str


def _blocks(*rows: tuple[str, str, str]) -> tuple[SpecialBlock, ...]:
    return tuple(SpecialBlock(ip_network(network), purpose, source) for network, purpose, source in rows)


IPV4_SPECIAL = _blocks(
    ("0.0.0.0/8", "this network", "RFC 791"),
    ("10.0.0.0/8", "private use", "RFC 1918"),
    ("100.64.0.0/10", "shared address space behind carriers' NAT", "RFC 6598"),
    ("127.0.0.0/8", "loopback", "RFC 1122"),
    ("169.254.0.0/16", "link-local", "RFC 3927"),
    ("172.16.0.0/12", "private use", "RFC 1918"),
    ("192.0.0.0/24", "IETF protocol assignments", "RFC 6890"),
    ("192.0.2.0/24", "documentation", "RFC 5737"),
    ("192.31.196.0/24", "anycast of AS112", "RFC 7535"),
    ("192.52.193.0/24", "anycast of AMT", "RFC 7450"),
    ("192.88.99.0/24", "6to4 relay anycast", "RFC 7526"),
    ("192.168.0.0/16", "private use", "RFC 1918"),
    ("192.175.48.0/24", "anycast of AS112", "RFC 7534"),
    ("198.18.0.0/15", "benchmarking", "RFC 2544"),
    ("198.51.100.0/24", "documentation", "RFC 5737"),
    ("203.0.113.0/24", "documentation", "RFC 5737"),
    ("224.0.0.0/4", "multicast", "RFC 5771"),
    ("240.0.0.0/4", "reserved, and limited broadcast", "RFC 1112"),
)

IPV6_SPECIAL = _blocks(
    ("::/128", "unspecified", "RFC 4291"),
    ("::1/128", "loopback", "RFC 4291"),
    ("::ffff:0:0/96", "IPv4-mapped", "RFC 4291"),
    ("::/96", "IPv4-compatible", "RFC 4291"),
    ("64:ff9b::/96", "translation of IPv4", "RFC 6052"),
    ("64:ff9b:1::/48", "translation of IPv4 for local use", "RFC 8215"),
    ("100::/64", "discard only", "RFC 6666"),
    ("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
    ("2001::/32", "Teredo", "RFC 4380"),
    ("2001:2::/48", "benchmarking", "RFC 5180"),
    ("2001:10::/28", "ORCHID", "RFC 4843"),
    ("2001:20::/28", "ORCHID version 2", "RFC 7343"),
    ("2001::/23", "IETF protocol assignments", "RFC 2928"),
    ("2001:db8::/32", "documentation", "RFC 3849"),
    ("2002::/16", "6to4", "RFC 3056"),
    ("2620:4f:8000::/48", "anycast of AS112", "RFC 7534"),
    ("3fff::/20", "documentation", "RFC 9637"),
    ("5f00::/16", "segment routing", "RFC 9602"),
    ("fc00::/7", "unique local", "RFC 4193"),
    ("fe80::/10", "link-local", "RFC 4291"),
    ("fec0::/10", "site-local, deprecated", "RFC 3879"),
    ("ff00::/8", "multicast", "RFC 4291"),
    # All that is left outside 2000::/3, the only space that global unicast addresses come from.
    ("::/3", "reserved", "RFC 4291"),
    ("4000::/2", "reserved", "RFC 4291"),
    ("8000::/1", "reserved", "RFC 4291"),
)
"""The first block that holds an address describes it: small ones stand in front of those around them."""

_RANGES = {
    version: tuple((int(b.network.network_address), int(b.network.broadcast_address), b) for b in blocks)
    for version, blocks in ((4, IPV4_SPECIAL), (6, IPV6_SPECIAL))
}


def special_block(address: IPAddress) -> SpecialBlock | None:
    """Why *address* is not public; None if it is."""
    number = int(address)
    for first, last, block in _RANGES[address.version]:
        if first <= number <= last:
            return block
    return None


def is_public(address: IPAddress) -> bool:
    """Whether *address* may stand in a proof and in a certificate. An IPv4-mapped one may not: :func:`normalise` it."""
    return special_block(address) is None


def normalise(address: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv4-mapped IPv6 address (``::ffff:1.2.3.4``, as dual-stack sockets show it) means."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def direct_ip(address: Multiaddr) -> IPAddress | None:
    """The IP address of the peer that a connection's address is of, normalised; None for a name or a relayed one."""
    text = address.get("ip4") or address.get("ip6")
    return None if text is None or address.has("p2p-circuit") else normalise(ip_address(text))


def by_family(addresses: Sequence[Multiaddr]) -> dict[int, list[Multiaddr]]:
    """The addresses over which IPv4 (4) is spoken, and those for IPv6 (6); a name for both stands in both.

    What says neither is under 0.
    """
    families: dict[int, list[Multiaddr]] = {}
    for address in addresses:
        first, *rest = address.components
        layers = [(part.name, part.value) for part in rest]
        names = (first.name,) if first.name != "dns" else ("dns4", "dns6")
        for name in names:
            family = _FAMILY_OF_NAME.get(name, 0)
            families.setdefault(family, []).append(Multiaddr.of((name, first.value), *layers))
    return families


_FAMILY_OF_NAME = {"ip4": 4, "dns4": 4, "ip6": 6, "dns6": 6}
