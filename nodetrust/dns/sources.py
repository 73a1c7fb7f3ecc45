"""Where records come from: one source for each kind of name that this server makes up by itself.

Each is a pure lookup that says, for a name below the zone, which records are there. `answer` asks them in order, and
`resolvers` offers each to any Twisted name server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol, TypeAlias

from nodetrust.dns.challenges.table import ChallengeTable
from nodetrust.dns.labels import (
    CHALLENGE_LABEL,
    IPV4_PREFIX,
    IPV6_PREFIX,
    PEER_PREFIX,
    read_autotls_address,
    read_autotls_peer,
    read_label,
)
from nodetrust.dns.records import Name, Node, RRset, Type, node, text_rrset
from nodetrust.libp2p.peer_id import PeerId

CHALLENGE_TTL = 10
"""Seconds that a resolver may keep a challenge, so that an order does not meet what the one before it left behind."""

NO_CHALLENGE_TTL = 5
"""Seconds that a resolver may remember that there is no challenge yet: a CA that looked too early looks again."""

NO_CHALLENGE_TEXT = b"not set yet"
"""p2p-forge's text."""

DEFAULT_TTL = 3600
"""Seconds; what such a name says never changes, but whether this server says it may (the policy)."""

Policy: TypeAlias = Callable[[IPv4Address | IPv6Address], bool]
"""Whether an address is answered; one that is not has a name without an address."""


def every_address(address: IPv4Address | IPv6Address) -> bool:
    """The policy that answers all addresses, loopback and private ones too."""
    return True


class Source(Protocol):
    """Makes records from names."""

    def lookup(self, labels: Name, now: float) -> Node | None:
        """What is at this name, given as its labels in front of the zone's (at least one, in lower case).

        None when the first label is not of this source's kind. Raises BrokenLabel when it begins like one and is none.
        """


@dataclass(frozen=True, slots=True)
class Ip4Source:
    """`ip41-2-3-4` has the address 1.2.3.4."""

    ttl: int
    policy: Policy

    def lookup(self, labels: Name, now: float) -> Node | None:
        """An A record, or none for an address that the policy leaves out."""
        if labels[0].startswith(IPV4_PREFIX) and isinstance(address := read_label(labels[0]), IPv4Address):
            return node(RRset(Type.A, self.ttl, (address.packed,))) if self.policy(address) else Node()
        return None


@dataclass(frozen=True, slots=True)
class Ip6Source:
    """`ip62001-db8--1` has the address 2001:db8::1."""

    ttl: int
    policy: Policy

    def lookup(self, labels: Name, now: float) -> Node | None:
        """An AAAA record, or none for an address that the policy leaves out."""
        if labels[0].startswith(IPV6_PREFIX) and isinstance(address := read_label(labels[0]), IPv6Address):
            return node(RRset(Type.AAAA, self.ttl, (address.packed,))) if self.policy(address) else Node()
        return None


@dataclass(frozen=True, slots=True)
class PeerSource:
    """`p<base36>` has the text `id=<peer ID>`."""

    ttl: int

    def lookup(self, labels: Name, now: float) -> Node | None:
        """A TXT record."""
        if labels[0].startswith(PEER_PREFIX) and isinstance(peer := read_label(labels[0]), PeerId):
            return node(text_rrset(self.ttl, b"id=%s" % str(peer).encode("ascii")))
        return None


@dataclass(frozen=True, slots=True)
class AutoTlsSource:
    """`1-2-3-4.<CID of a peer>` has the address 1.2.3.4, and the peer's name above it exists without records.

    Both stand just below the zone and nowhere deeper (as at libp2p.direct): unlike the other labels, these two only
    mean something beside each other. What spells no address there is a name without records, which is how every
    client of that service expects it.
    """

    ttl: int
    policy: Policy

    def lookup(self, labels: Name, now: float) -> Node | None:
        """An A or AAAA record, or none for an address that the policy leaves out."""
        if len(labels) > 2 or read_autotls_peer(labels[-1]) is None:
            return None
        address = read_autotls_address(labels[0]) if len(labels) == 2 else None
        if address is None:
            return Node()
        type_ = Type.A if address.version == 4 else Type.AAAA
        return node(RRset(type_, self.ttl, (address.packed,))) if self.policy(address) else Node()


@dataclass(frozen=True, slots=True)
class ChallengeSource:
    """`_acme-challenge.<name>` has the values that the issue server has set.

    Without one it is a name without records, which resolvers forget after a few seconds: the SOA that says so carries
    that TTL (RFC 2308 §5). Yet to those that ask *it*, Unbound tells the TTL of the SOA record that it knows from other
    answers (seen with 1.17). At an AutoTLS name, where clients wait for their value and ask their system's resolver for
    it, there is therefore a text that says so, as at libp2p.direct. Elsewhere nobody waits but the CA, and a text would
    only be one more wrong value for its error message.
    """

    origin: Name
    table: ChallengeTable

    def lookup(self, labels: Name, now: float) -> Node | None:
        """A TXT record for each value, the newest first."""
        if labels[0] != CHALLENGE_LABEL:
            return None
        values = self.table.values((*labels[1:], *self.origin), now)
        if not values:
            if len(labels) == 2 and read_autotls_peer(labels[1]) is not None:
                return node(text_rrset(NO_CHALLENGE_TTL, NO_CHALLENGE_TEXT), negative_ttl=NO_CHALLENGE_TTL)
            return Node(negative_ttl=NO_CHALLENGE_TTL)
        ttl = min(CHALLENGE_TTL, *(int(left) for _, left in values))
        return node(text_rrset(ttl, *(value for value, _ in values)), negative_ttl=NO_CHALLENGE_TTL)
