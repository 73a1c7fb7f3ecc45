"""Which addresses are not answered: those on a denylist, unless they are on an allowlist. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from nodetrust.dns.lists.prefixes import PrefixSet
from nodetrust.dns.observe.counters import Counters
from nodetrust.dns.sources import Policy

_CARRIERS = (
    IPv6Address("::ffff:0:0").packed[:12],  # RFC 4291 §2.5.5.2
    IPv6Address("64:ff9b::").packed[:12],  # RFC 6052 §2.1: any NAT64 on the way takes it
)


@dataclass(frozen=True, slots=True)
class Lists:
    """All lists that are in force, put together; replaced whole."""

    denied: PrefixSet
    allowed: PrefixSet

    def deny(self, packed: bytes) -> bool:
        """Whether the address of 4 or 16 octets is not answered."""
        address = _plain(packed)
        return address in self.denied and address not in self.allowed


NO_LISTS = Lists(PrefixSet(), PrefixSet())


def _plain(packed: bytes) -> bytes:
    """The IPv4 address that an IPv6 address leads to by itself, mapped or translated; else the address as it is."""
    return packed[len(_CARRIERS[0]) :] if packed.startswith(_CARRIERS) else packed


def policy_with(lists: Lists, policy: Policy, counters: Counters) -> Policy:
    """A policy that leaves out what the lists deny, and counts it; the same policy while they deny nothing."""
    if not lists.denied:
        return policy
    return _DeniedToo(lists.deny, policy, counters)


@dataclass(frozen=True, slots=True)
class _DeniedToo:
    deny: Callable[[bytes], bool]
    policy: Policy
    counters: Counters

    def __call__(self, address: IPv4Address | IPv6Address) -> bool:
        if self.deny(address.packed):
            self.counters.denied += 1
            return False
        return self.policy(address)
