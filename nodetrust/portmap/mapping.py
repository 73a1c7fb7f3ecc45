"""What is wanted of a gateway, what it grants, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from nodetrust.addresses import SpecialBlock, special_block

WANTED_LIFETIME_SECONDS = 3600
"""What outlives a crash of ours is gone in an hour; RFC 6886 §3.3 recommends two, miniupnpd grants up to a day."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A TCP port to map. `external_port` is a wish; `description` is what the router's own pages show."""

    internal_port: int
    external_port: int
    description: str
    lifetime_seconds: int = WANTED_LIFETIME_SECONDS


@dataclass(frozen=True, slots=True)
class Place:
    """Where a question is asked: at which gateway, and from which address of ours."""

    gateway: IPv4Address
    own_address: IPv4Address


@dataclass(frozen=True, slots=True)
class Granted:
    """What a gateway has agreed to; `lifetime_seconds` is None for a mapping that never ends by itself."""

    external_address: IPv4Address
    external_port: int
    lifetime_seconds: int | None


@dataclass(frozen=True, slots=True)
class Mapping:
    """TCP to `external_address`:`external_port` arrives at `internal_address`:`internal_port`, says the gateway."""

    external_address: IPv4Address
    external_port: int
    internal_address: IPv4Address
    internal_port: int
    gateway: IPv4Address
    protocol: str
    """"PCP", "NAT-PMP" or "UPnP"."""
    lifetime_seconds: int | None

    @property
    def not_public(self) -> SpecialBlock | None:
        """Which addresses the external one is of, if nobody outside can dial it: the router is behind another NAT."""
        return special_block(self.external_address)
