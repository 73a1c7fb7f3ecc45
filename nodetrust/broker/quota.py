"""Which buckets a registration draws from. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from nodetrust.broker.decide import Visit
from nodetrust.quotas import Draw, Limit

PREFIX = "autotls/"
"""Of all keys, in the table that issue servers on the same store use as well."""

PERIOD_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Quota:
    """Registrations in an hour; 0 is no limit."""

    per_peer: int
    per_address: int
    """An IPv4 address or an IPv6 /64."""
    per_48: int
    """An IPv6 /48."""


def draws(quota: Quota, visit: Visit) -> Sequence[Draw]:
    """What one registration takes."""
    ip = visit.ip
    limits = [(f"peer/{visit.peer}", quota.per_peer)]
    if ip.version == 4:
        limits.append((f"address/{ip}", quota.per_address))
    else:
        limits.append((f"address/{ip_network((ip, 64), strict=False)}", quota.per_address))
        limits.append((f"48/{ip_network((ip, 48), strict=False)}", quota.per_48))
    return [Draw(Limit(PREFIX + key, amount, PERIOD_SECONDS)) for key, amount in limits if amount]
