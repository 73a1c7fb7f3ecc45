"""Addresses that are not answered because a list denies them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from nodetrust.dns.observe.counters import Counters
from nodetrust.dns.sources import Policy
from nodetrust.lists.lists import Lists


def policy_with(lists: Lists, policy: Policy, counters: Counters) -> Policy:
    """A policy that leaves out what the lists deny, and counts it; the same policy while they deny nothing."""
    if not lists.denied.prefixes:
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
