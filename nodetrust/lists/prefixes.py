"""A set of address prefixes that answers for one address with a few lookups, however many prefixes it has. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network


class PrefixSet:
    """Immutable. `packed in prefixes`: whether one of them covers the address of 4 or 16 octets."""

    __slots__ = ("_tables", "networks")

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self.networks = frozenset(networks)
        by_length: dict[int, defaultdict[int, set[int]]] = {4: defaultdict(set), 16: defaultdict(set)}
        for network in self.networks:
            packed = network.network_address.packed
            shift = network.max_prefixlen - network.prefixlen
            by_length[len(packed)][shift].add(int.from_bytes(packed, "big") >> shift)
        self._tables = {
            size: tuple((shift, frozenset(found)) for shift, found in tables.items())
            for size, tables in by_length.items()
        }
        """By the octets of an address: for each prefix length how many bits are below it, and the prefixes."""

    def __contains__(self, packed: bytes) -> bool:
        address = int.from_bytes(packed, "big")
        return any((address >> shift) in prefixes for shift, prefixes in self._tables[len(packed)])

    def __len__(self) -> int:
        return len(self.networks)


def read_network(text: str) -> Network:
    """A prefix such as `192.0.2.0/24`, or one address; raises ValueError for other text, and for bits below a prefix.

    IPv4 in the form of IPv6 is refused: such an address never comes from a network.
    """
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ValueError(f"{text} is IPv4 written as IPv6")
    return network
