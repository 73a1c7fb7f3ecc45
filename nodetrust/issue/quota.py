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

"Same names": Let's Encrypt has signed a certificate for them within `renewal.RENEWABLE`, also where that has ended
meanwhile, as many do in a long outage.

We draw it when the order is opened and give back what was not spent; only a failed validation is taken when there is
one. Orders for the same names draw from `orders_per_3_hours` here, since other CAs count them.

What all share is divided twice. New peers together get what `renewal_share` leaves, and those that have a certificate
draw on the whole: a flood of new peers leaves the renewals theirs. And half of each such bucket is kept for prefixes
(an IPv4 address, an IPv6 /48) that have had less than their right, `RIGHT_PERCENT` of it in `RIGHT_PERIOD`: however
many peers somebody makes up in a prefix, those from elsewhere come first. What nobody else wants is theirs all the
same, or ten peers of one household would wait for months on a domain of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from ipaddress import IPv6Address
from typing import TYPE_CHECKING

from nodetrust.issue.decide import Order
from nodetrust.issue.errors import Refusal
from nodetrust.issue.settings import CaSettings, IssueSettings
from nodetrust.messages import E_RATE_LIMIT
from nodetrust.names import IPAddress
from nodetrust.quotas import Draw, Exhausted, Limit
from nodetrust.renewal import RENEWABLE

if TYPE_CHECKING:  # nothing else of the database is wanted here
    from nodetrust.store import StoredCertificate

HOUR = 3600.0
ORDERS_PERIOD = 3 * HOUR
WEEK = 7 * 24 * HOUR

RIGHT_PERCENT = 2
"""Of what the CA gives in its period: one of Let's Encrypt's fifty certificates a week, six of its orders."""

RIGHT_PERIOD = 90 * 24 * HOUR
"""A new certificate is for good: from then on it is renewed. So a right need not come back soon."""

KEPT_PART = 0.5
"""Of a bucket: what is only for those that have a right."""

OWN_PER_DAY = 10
"""Certificates for the issue server itself, at one CA: so that neither it nor the peers are left without."""

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
    """It has one for the same names, and it is due; or had one not long ago."""
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
    """By name: that there is room for a failure. It is not taken: many peers may have one address at one time."""

    @property
    def all(self) -> tuple[Draw, ...]:
        """What opening the order draws."""
        return self.operator + self.orders + self.certificates + tuple(self.failures.values())

    def unspent(self, ended: Ended, failed_names: Collection[str] = ()) -> tuple[Draw, ...]:
        """What is given back at the end, for `quotas.refund`; for each of the `failed_names`, which the CA could not
        validate, a failure is taken.

        A peer gets its own share back unless the fault was its own: an outage of ours must not cost it its week.
        """
        if ended is Ended.SIGNED:
            return ()
        failed = tuple(Draw(draw.limit, -1.0) for name, draw in self.failures.items() if name in failed_names)
        if ended is Ended.UNPLACED:
            return self.operator + self.orders + self.certificates
        if ended is Ended.REFUSED:
            return self.certificates + failed
        return self.operator + self.certificates + failed


def kind_of(
    directory_url: str,
    same: StoredCertificate | None,
    newest: StoredCertificate | None,
    now: datetime,
    *,
    replaces: bool,
) -> Kind:
    """What an order at this CA is.

    `same` is the peer's newest certificate for the very same names, which may have ended; `newest` its newest for any,
    which has not. `replaces`: whether the order will say so, and the CA's window is open; outside of it such an order
    is counted.
    """
    if replaces:
        return Kind.REPLACEMENT
    if same is not None and same.directory_url == directory_url and now < _renewable_until(same):
        due = same.renew_at or same.not_after - (same.not_after - same.not_before) / RENEW_LAST
        return Kind.RENEWAL if now >= due else Kind.AGAIN
    return Kind.NEW if newest is None else Kind.MOVED


def _renewable_until(certificate: StoredCertificate) -> datetime:
    return max(certificate.not_after, certificate.not_before + RENEWABLE)


def draws_of(order: Order, kind: Kind, ca: CaSettings, settings: IssueSettings) -> OrderDraws:
    """What this order at this CA draws. The operator's buckets are the same ones at every CA."""
    if order.own:
        return OrderDraws((Draw(Limit(f"own/{ca.directory}", OWN_PER_DAY, 24 * HOUR)),), (), (), {})
    if kind is Kind.REPLACEMENT:
        return OrderDraws(tuple(_replacement(order, ca)), (), (), {})
    sites = _Sites.of(order.addresses)
    return OrderDraws(
        operator=tuple(Draw(limit) for limit in _operators(order, kind, sites, settings) if limit.amount),
        orders=tuple(_shared(sites, kind, ca, _ORDERS, settings)),
        certificates=tuple(_certificates(order, kind, sites, ca, settings)),
        failures=_failures(order.names, ca),
    )


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


@dataclass(frozen=True, slots=True)
class _Sites:
    """The networks that an order's addresses are in."""

    near: tuple[str, ...]
    """IPv4 addresses and IPv6 /64."""
    wide: tuple[str, ...]
    """IPv6 /48."""
    rightful: tuple[str, ...]
    """Those that have a right: IPv4 addresses and IPv6 /48."""

    @classmethod
    def of(cls, addresses: Iterable[IPAddress]) -> _Sites:
        ipv4 = tuple(sorted({f"{address}/32" for address in addresses if address.version == 4}))
        ipv6 = {int(address) for address in addresses if address.version == 6}
        if not ipv6:
            return cls(ipv4, (), ipv4)
        near, wide = (tuple(sorted({_network(address, bits) for address in ipv6})) for bits in (64, 48))
        return cls(ipv4 + near, wide, ipv4 + wide)


def _network(address: int, bits: int) -> str:
    host_bits = 128 - bits
    return f"{IPv6Address(address >> host_bits << host_bits)}/{bits}"


def _operators(order: Order, kind: Kind, sites: _Sites, settings: IssueSettings) -> Iterable[Limit]:
    yield Limit(f"peer/{order.peer}", settings.orders_per_peer, WEEK)
    if kind is not Kind.RENEWAL:
        for prefix in sites.near:
            yield Limit(f"address/{prefix}", settings.orders_per_address, WEEK)
        for prefix in sites.wide:
            yield Limit(f"address/{prefix}", settings.orders_per_48, WEEK)


def _certificates(order: Order, kind: Kind, sites: _Sites, ca: CaSettings, settings: IssueSettings) -> Iterable[Draw]:
    amount = ca.limit("same_names_per_week")
    if amount:
        yield Draw(Limit(f"{_ca(ca)}/names/{_digest(order.names)}", amount, WEEK))
    if kind in {Kind.NEW, Kind.MOVED}:
        yield from _shared(sites, kind, ca, _CERTIFICATES, settings)


def _shared(sites: _Sites, kind: Kind, ca: CaSettings, budget: _Budget, settings: IssueSettings) -> Iterable[Draw]:
    """From the bucket of all peers, and for new ones (and keys that nobody had to change) from their part of it."""
    amount = ca.limit(budget.setting)
    if not amount:
        return
    key = f"{_ca(ca)}/{budget.key}"
    whole = Limit(key, amount, budget.period_seconds)
    rights = tuple(
        Limit(f"{key}/{prefix}", max(amount * RIGHT_PERCENT / 100, 1), RIGHT_PERIOD) for prefix in sites.rightful
    )
    part = amount * (100 - settings.renewal_share) / 100
    if kind is Kind.RENEWAL:
        yield Draw(whole)
    elif kind is Kind.MOVED or part == amount:
        yield Draw(whole, spare=_kept(amount), rights=rights)
    else:
        # at least one, unless the operator has closed it for good
        part = max(part, 1) if part else 0
        yield Draw(whole)
        yield Draw(Limit(f"{key}/new", part, budget.period_seconds), spare=_kept(part), rights=rights)


def _kept(amount: float) -> float:
    """The tokens for those with a right; of one or two tokens none are kept, or nobody else would ever get one."""
    return amount * KEPT_PART if amount > 2 else 0.0


def _failures(names: Iterable[str], ca: CaSettings) -> dict[str, Draw]:
    amount = ca.limit("failures_per_hour")
    return {name: Draw(Limit(f"{_ca(ca)}/failures/{name}", amount, HOUR), 0.0, spare=1.0) for name in names if amount}


def _replacement(order: Order, ca: CaSettings) -> Iterable[Draw]:
    yield Draw(Limit(f"replacements/{order.peer}", REPLACEMENTS_PER_PEER, WEEK))
    yield Draw(Limit(f"replacements/{ca.directory}", REPLACEMENTS_PER_HOUR, HOUR))


def _ca(ca: CaSettings) -> str:
    return f"ca/{ca.directory}"


def _digest(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
