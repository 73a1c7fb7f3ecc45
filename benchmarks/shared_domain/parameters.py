"""What a simulated world is made of."""

from __future__ import annotations

from dataclasses import dataclass

from nodetrust.names import NameChoice

DAY = 86400.0
WEEK = 7 * DAY


@dataclass(frozen=True, slots=True)
class Limits:
    """A CA's limits for us; 0 is none."""

    name: str
    certificates_per_week: int
    orders_per_3_hours: int


PUBLISHED = Limits("as published", 50, 300)
"""Let's Encrypt's, for everybody."""

LISTED = Limits("listed", 0, 300)
"""The zone is in the Public Suffix List: then each name in it is a registered domain, and only the account is left."""

RAISED = Limits("raised", 300_000, 10_000)
"""Let's Encrypt has granted more, for the domain and for the account."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """One world. Rates are of one peer; times between events are exponentially distributed."""

    peers: int = 1_000_000
    """Honest ones: this many are there at the end, in place of those that left."""
    weeks: int = 8
    launch: float = 0.1
    """The part of the peers that asks in the first hour; the others join evenly."""
    leave_per_week: float = 0.02
    address_days: float = 30.0
    """How long a peer has one address, on average."""
    shared_addresses: float = 0.2
    """The part of the peers behind an address that `peers_per_shared_address` of them have together."""
    peers_per_shared_address: int = 50
    certificate_days: float = 45.0
    """Renewed when a third of it is left."""
    ari: float = 1.0
    """The part of the renewals that is done as the CA's ARI says, and so does not count."""

    sybils: int = 10_000
    """Peer IDs of somebody who wants all certificates that can be had: a first one for each, and then others."""
    sybil_prefixes: int = 10
    """The IPv6 /48 networks that they are in, evenly."""
    sybil_eagerness: float = 60.0
    """How much more often they ask than honest peers, who wait as long as they are told."""

    names: NameChoice = "peer"
    limits: Limits = PUBLISHED
    renewal_share: int = 50
    orders_per_peer: int = 10
    orders_per_address: int = 20
    orders_per_48: int = 50
    prefix_quotas: bool = True
    """Whether the quotas for an address and for a prefix are in force."""
    seed: int = 1

    @property
    def end(self) -> float:
        """In seconds."""
        return self.weeks * WEEK
