"""What an order draws from the CA's limits and from the operator's, and what it gets back. Pure.

A CA's limits are the scarcest thing of a shared domain. So they are counted here, and an order that the CA would refuse
is never placed. What Let's Encrypt counts (<https://letsencrypt.org/docs/rate-limits/>, and its server's source):

===================  ==================  ================================  =====================  ==================
limit                setting             a bucket for each                 spent when              not by
===================  ==================  ================================  =====================  ==================
50 in 7 days         certificates_per_…  registered domain                 a certificate is signed  same names, ARI
5 in 7 days          same_names_per_…    set of names                      a certificate is signed  ARI
300 in 3 hours       orders_per_3_hours  account                           an order is placed       same names, ARI
5 in an hour         failures_per_hour   name and account                  validation fails         ARI
===================  ==================  ================================  =====================  ==================

We draw all of it when the order is opened and give back what was not spent. Orders for the same names draw from
`orders_per_3_hours` here, since other CAs count them.

Who shares a bucket, from the outside in: one prefix (an IPv4 address, an IPv6 /48) gets at most `PREFIX_PERCENT` of the
CA's certificates; all new peers together get what `renewal_share` leaves; those that have a certificate draw on the
whole. So a prefix full of made-up peers empties its own bucket, and a flood of new peers from everywhere still leaves
the renewals theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from ipaddress import ip_network
from typing import TYPE_CHECKING

from nodetrust.issue.decide import Order
from nodetrust.issue.errors import Refusal
from nodetrust.issue.settings import CaSettings, IssueSettings
from nodetrust.messages import E_RATE_LIMIT
from nodetrust.names import IPAddress
from nodetrust.quotas import Draw, Exhausted, Limit

if TYPE_CHECKING:  # nothing else of the database is wanted here
    from nodetrust.store import StoredCertificate

HOUR = 3600.0
ORDERS_PERIOD = 3 * HOUR
WEEK = 7 * 24 * HOUR

PREFIX_PERCENT = 4
"""Of a CA's certificates_per_week: the most that one prefix gets. Two of Let's Encrypt's fifty."""

REPLACEMENTS_PER_PEER = 20
"""A week. A certificate of six days is replaced twice in that time."""

REPLACEMENTS_PER_HOUR = 36_000
"""At one CA: ten a second. Let's Encrypt takes 300 new orders a second from one address, and does not count these."""

RENEW_LAST = 3
"""A certificate is due when a third of its life is left, where the CA has not said when."""


class Kind(Enum):
    """What an order is to us, and to the CA."""

    NEW = auto()
    """The peer has no certificate."""
    MOVED = auto()
    """It has one, for other names or from another CA: new to this CA, but not to us."""
    AGAIN = auto()
    """It has one for the same names that is not due: it wants another key."""
    RENEWAL = auto()
    """It has one for the same names, and it is due."""
    REPLACEMENT = auto()
    """The order says `replaces`, within the window that the CA has told (ARI): it counts for nothing."""


class Ended(Enum):
    """How far an order came."""

    UNPLACED = auto()
    """The CA has not taken it: it was down, or refused, or we were stopped before."""
    UNVALIDATED = auto()
    """The CA took it and did not sign: it failed, or a DNS server did."""
    REFUSED = auto()
    """The CA refused what the peer had sent: its key, or its CSR."""
    SIGNED = auto()
    """There is a certificate, or it cannot be known whether there is."""


@dataclass(frozen=True, slots=True)
class OrderDraws:
    """The draws of one order, by what they are spent on."""

    operator: tuple[Draw, ...]
    orders: tuple[Draw, ...]
    certificates: tuple[Draw, ...]
    failures: Mapping[str, Draw]
    """By name."""

    @property
    def all(self) -> tuple[Draw, ...]:
        """What opening the order draws."""
        return self.operator + self.orders + self.certificates + tuple(self.failures.values())

    def unspent(self, ended: Ended, failed_names: Collection[str] = ()) -> tuple[Draw, ...]:
        """What is given back at the end. `failed_names`: those for which the CA's validation has failed.

        A peer gets its own share back unless the failure was its own: an outage of ours must not cost it its week.
        """
        if ended is Ended.UNPLACED:
            return self.all
        failures = tuple(draw for name, draw in self.failures.items() if name not in failed_names)
        if ended is Ended.SIGNED:
            return failures
        if ended is Ended.REFUSED:
            return self.certificates + failures
        return self.operator + self.certificates + failures


def kind_of(
    directory_url: str,
    same: StoredCertificate | None,
    newest: StoredCertificate | None,
    now: datetime,
    *,
    replaces: bool,
) -> Kind:
    """What an order at this CA is.

    `same` is the peer's newest certificate for the very same names, `newest` its newest for any; neither has ended.
    `replaces`: whether the order will say so, and the CA's window is open; outside of it such an order is counted.
    """
    if replaces:
        return Kind.REPLACEMENT
    if same is not None and same.directory_url == directory_url:
        due = same.renew_at or same.not_after - (same.not_after - same.not_before) / RENEW_LAST
        return Kind.RENEWAL if now >= due else Kind.AGAIN
    return Kind.NEW if newest is None else Kind.MOVED


def draws_of(order: Order, kind: Kind, ca: CaSettings, settings: IssueSettings) -> OrderDraws:
    """What this order at this CA draws. The operator's buckets are the same ones at every CA."""
    if kind is Kind.REPLACEMENT:
        return OrderDraws(tuple(_replacement(order, ca)), (), (), {})
    return OrderDraws(
        operator=tuple(_drawn(_operators(order, kind, settings))),
        orders=tuple(_drawn(_shared(ca, _ORDERS, kind, settings))),
        certificates=tuple(_drawn(_certificates(order, kind, ca, settings))),
        failures=failure_draws(order.names, ca),
    )


def failure_draws(names: Collection[str], ca: CaSettings) -> dict[str, Draw]:
    """By name, what a failed validation draws: for an order that another server has opened; a replacement has none."""
    amount = ca.limit("failures_per_hour")
    return {name: Draw(Limit(f"{_ca(ca)}/failures/{name}", amount, HOUR)) for name in names if amount}


def refusal(exhausted: Exhausted) -> Refusal:
    """What the peer is told."""
    key = exhausted.limit.key
    whose = "the CA's limits leave no room" if key.startswith("ca/") else "this server's limits leave no room"
    return Refusal(E_RATE_LIMIT, f"{whose} now: {exhausted}", exhausted.retry_after_seconds)


@dataclass(frozen=True, slots=True)
class _Budget:
    """One of the CA's limits that all peers share."""

    key: str
    setting: str
    period_seconds: float


_ORDERS = _Budget("orders", "orders_per_3_hours", ORDERS_PERIOD)
_CERTIFICATES = _Budget("certificates", "certificates_per_week", WEEK)


def _operators(order: Order, kind: Kind, settings: IssueSettings) -> Iterable[Limit]:
    yield Limit(f"peer/{order.peer}", settings.orders_per_peer, WEEK)
    if kind is not Kind.RENEWAL:
        for prefix in _prefixes(order.addresses, 32, 64):
            yield Limit(f"address/{prefix}", settings.orders_per_address, WEEK)
        for prefix in _prefixes(order.addresses, None, 48):
            yield Limit(f"address/{prefix}", settings.orders_per_48, WEEK)


def _certificates(order: Order, kind: Kind, ca: CaSettings, settings: IssueSettings) -> Iterable[Limit]:
    yield Limit(f"{_ca(ca)}/names/{_digest(order.names)}", ca.limit("same_names_per_week"), WEEK)
    if kind in {Kind.NEW, Kind.MOVED}:
        yield from _shared(ca, _CERTIFICATES, kind, settings)
        share = ca.limit(_CERTIFICATES.setting) * PREFIX_PERCENT / 100
        for prefix in _prefixes(order.addresses, 32, 48):
            yield Limit(f"{_ca(ca)}/certificates/{prefix}", max(share, 1) if share else 0, WEEK)


def _shared(ca: CaSettings, budget: _Budget, kind: Kind, settings: IssueSettings) -> Iterable[Limit]:
    """The bucket in all, and for new peers (and keys that nobody had to change) the part that is not for renewals."""
    amount = ca.limit(budget.setting)
    key = f"{_ca(ca)}/{budget.key}"
    yield Limit(key, amount, budget.period_seconds)
    if amount and settings.renewal_share and kind in {Kind.NEW, Kind.AGAIN}:
        rest = amount * (100 - settings.renewal_share) / 100
        # at least one, unless the operator has closed it for good: then nothing can ever be drawn
        yield Limit(f"{key}/new", max(rest, 1) if rest else _CLOSED, budget.period_seconds)


def _replacement(order: Order, ca: CaSettings) -> Iterable[Draw]:
    yield Draw(Limit(f"replacements/{order.peer}", REPLACEMENTS_PER_PEER, WEEK))
    yield Draw(Limit(f"replacements/{ca.directory}", REPLACEMENTS_PER_HOUR, HOUR))


_CLOSED = 0.5
"""Half a token: a bucket from which nothing can be drawn, where 0 would be no limit."""


def _drawn(limits: Iterable[Limit]) -> Iterable[Draw]:
    """A draw of each; a limit of 0 is none."""
    return (Draw(limit) for limit in limits if limit.amount)


def _prefixes(addresses: Iterable[IPAddress], ipv4_bits: int | None, ipv6_bits: int) -> list[str]:
    """The networks of that size that the addresses are in, each once."""
    lengths = {4: ipv4_bits, 6: ipv6_bits}
    networks = (
        ip_network((address, length), strict=False)
        for address in addresses
        if (length := lengths[address.version]) is not None
    )
    return sorted({str(network) for network in networks})


def _ca(ca: CaSettings) -> str:
    return f"ca/{ca.directory}"


def _digest(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
