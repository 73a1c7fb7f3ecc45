"""The simulation: events on a heap, and the issue server's own quotas."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Any, cast

from benchmarks.shared_domain.parameters import DAY, WEEK, Parameters
from benchmarks.shared_domain.tally import Asker, Tally
from benchmarks.shared_domain.waiting import Crowd
from nodetrust.issue.decide import Order
from nodetrust.issue.quota import Kind, OrderDraws, draws_of
from nodetrust.issue.settings import LETS_ENCRYPT_LIMITS, CaSettings, IssueSettings
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import ECDSA_P256
from nodetrust.names import IPAddress
from nodetrust.ordering import LETS_ENCRYPT
from nodetrust.quotas import Draw, Exhausted, spend
from nodetrust.settings import ZoneName

START = 1_800_000_000.0
"""Some time, in seconds since the epoch."""

ZONE = ZoneName("nt.example.org")
SAMPLE_SECONDS = DAY / 2
LAUNCH_SECONDS = 3600.0
SYBIL_PAUSE_SECONDS = 3600.0
"""After which those of a prefix ask again, when one of them got a certificate or has used up what is its own."""

FIRST_SYBIL = 1 << 40
SYBIL_NETWORK = 0x2A10 << 112
SHARED_NETWORK = 11 << 24
OTHER_NETWORKS = range(12 << 24, 223 << 24)

_LABELS = {Kind.NEW: "new", Kind.MOVED: "moved", Kind.RENEWAL: "renewing", Kind.REPLACEMENT: "renewing"}

LATE_SECONDS = 600.0
"""How much later than it was told an honest peer asks, on average."""

_Place = tuple[str, bool, Kind]
"""Where peers wait: for which bucket, whether for what is kept for others, and with which wish."""

Progress = Callable[[float, Tally], None]
"""Told the time, in seconds from the start, and what was counted until then."""


class World:
    """Made with its parameters; `run` once."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.tally = Tally()
        self._random = random.Random(parameters.seed)
        self._ca = _ca(parameters)
        self._settings = _settings(parameters)
        self._states: dict[str, float] = {}
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = itertools.count()
        self._crowds: dict[_Place, Crowd] = {}
        self._made_up: Counter[int] = Counter()
        self._closed: dict[Kind, tuple[_Place, float]] = {}
        self._now = 0.0
        self._waiting: set[Asker] = set()
        self._present = 0
        self._covered = 0

    def run(self, progress: Progress = lambda now, tally: None) -> Tally:
        """Live to the end."""
        self._at(0.0, self._sample, progress)
        for prefix in range(self.parameters.sybil_prefixes if self.parameters.sybils else 0):
            for kind in (Kind.NEW, self._sybils_later()):
                sybil = Asker(prefix, sybil=True)
                self._at(self._random.uniform(0, LAUNCH_SECONDS), self._want, sybil, kind)
        joins = self._joins()
        self._join_next(joins)
        while self._events and self._events[0][0] < self.parameters.end:
            self._now, _, act, arguments = heapq.heappop(self._events)
            act(*arguments)
        self._now = self.parameters.end
        for asker in self._waiting:
            self._give_up(asker)
        self.tally.sybils_waiting = self.parameters.sybils - sum(self._made_up.values())
        progress(self._now, self.tally)
        return self.tally

    def _at(self, time: float, act: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self._events, (time, next(self._number), act, arguments))

    # Peers come and go.

    def _joins(self) -> Iterator[float]:
        """When honest peers join, in order; those that leave are replaced."""
        p = self.parameters
        at_once = round(p.peers * p.launch)
        replaced = round(p.peers * p.leave_per_week * p.weeks * (1 + p.launch) / 2)
        later = p.peers - at_once + replaced
        yield from (LAUNCH_SECONDS * n / at_once for n in range(at_once))
        yield from (LAUNCH_SECONDS + (p.end - LAUNCH_SECONDS) * n / later for n in range(later))

    def _join_next(self, joins: Iterator[float]) -> None:
        time = next(joins, None)
        if time is not None:
            self._at(time, self._join, joins)

    def _join(self, joins: Iterator[float]) -> None:
        p = self.parameters
        peer = Asker(next(self._number), sybil=False)
        if p.leave_per_week:
            peer.leaves_at = self._now + self._random.expovariate(p.leave_per_week / WEEK)
            if peer.leaves_at < p.end:
                self._at(peer.leaves_at, self._leave, peer)
        peer.shared = self._random.random() < p.shared_addresses
        self._settle(peer)
        self._present += 1
        self._want(peer, Kind.NEW)
        self._join_next(joins)

    def _settle(self, peer: Asker) -> None:
        """Give it an address: one of its own, or one that others have, too."""
        if peer.shared:
            p = self.parameters
            shared = max(1, int(p.peers * p.shared_addresses / p.peers_per_shared_address))
            peer.address = SHARED_NETWORK + self._random.randrange(shared)
        else:
            peer.address = self._random.choice(OTHER_NETWORKS)

    def _leave(self, peer: Asker) -> None:
        self._present -= 1
        self._cover(peer, False)
        if peer in self._waiting:
            self._give_up(peer)
            self._waiting.remove(peer)
        peer.kind = None
        peer.wish += 1

    def _move(self, peer: Asker) -> None:
        self._settle(peer)
        self._move_later(peer)
        if self.parameters.names == "addresses":
            self._cover(peer, False)
        if peer.kind is None:
            self._want(peer, Kind.MOVED)

    def _move_later(self, peer: Asker) -> None:
        time = self._now + self._random.expovariate(1 / (self.parameters.address_days * DAY))
        if time < min(peer.leaves_at, self.parameters.end):
            self._at(time, self._move, peer)

    def _renew(self, peer: Asker, issued: int) -> None:
        """Its certificate is due, unless it got another meanwhile."""
        if peer.issued != issued:
            return
        by_ari = self._random.random() < self.parameters.ari
        if peer.kind is None:
            self._want(peer, Kind.REPLACEMENT if by_ari else Kind.RENEWAL)
        elif by_ari:  # it waits because it has moved; now its order replaces the old certificate: they share a name
            peer.kind = Kind.REPLACEMENT
            peer.wish += 1
            self._ask(peer)

    def _expire(self, peer: Asker, issued: int) -> None:
        if peer.issued == issued and self._now < peer.leaves_at:
            self.tally.lost += 1
            self._cover(peer, False)

    def _cover(self, peer: Asker, covered: bool) -> None:
        self._covered += covered - peer.covered
        peer.covered = covered

    # What they want, and what they get.

    def _want(self, asker: Asker, kind: Kind) -> None:
        asker.kind = kind
        asker.since = self._now
        asker.wish += 1
        if not asker.sybil:
            asker.label = _LABELS[kind]
            self._waiting.add(asker)
        place, until = self._closed.get(kind, (None, 0.0))
        crowd = self._crowds.get(place) if place is not None else None
        if crowd is not None and self._now < until:  # all that want the same are refused now: it waits with them
            crowd.add(asker)
        else:
            self._ask(asker)

    def _ask(self, asker: Asker) -> Exhausted | None:
        """Ask the issue server; the refusal, or None if the order was opened."""
        assert asker.kind is not None
        order = self._order(asker) if not asker.sybil else self._sybils_order(asker)
        if order is None:
            return None
        self.tally.asks += 1
        draws = self._in_force(draws_of(order, asker.kind, self._ca, self._settings))
        try:
            self._states.update(spend(self._states, draws, START + self._now))
        except Exhausted as error:
            self._send_away(asker, error)
            return error
        self._grant(asker, counted=asker.kind in {Kind.NEW, Kind.MOVED})
        return None

    def _in_force(self, drawn: OrderDraws) -> list[Draw]:
        if self.parameters.prefix_quotas:
            return list(drawn.all)
        return [
            Draw(one.limit, one.cost) if one.rights else one
            for one in drawn.all
            if not one.limit.key.startswith("address/")
        ]

    def _send_away(self, asker: Asker, error: Exhausted) -> None:
        assert asker.kind is not None
        key = error.limit.key
        if asker.sybil and not _is_shared(key) and not key.startswith("address/"):
            # It tries with another of its peers, in time: a tenth of what this one would have to wait.
            self._at(
                self._now + max(SYBIL_PAUSE_SECONDS, error.retry_after_seconds / 10), self._want, asker, asker.kind
            )
            return
        place = (key, error.reserved, asker.kind)
        crowd = self._crowds.get(place)
        if crowd is None:
            p = self.parameters
            crowd = self._crowds[place] = Crowd(p.sybil_eagerness * p.sybils / p.sybil_prefixes)
            crowd.add(asker)
            self._open_later(place, error.retry_after_seconds)
        else:
            crowd.add(asker)
        if _is_shared(key) and not error.reserved:
            self._closed[asker.kind] = (place, self._now + error.retry_after_seconds)

    def _open_later(self, place: _Place, seconds: float) -> None:
        """After that time the first one comes; the more wait and the more eager they are, the sooner."""
        late = self._random.expovariate(self._crowds[place].eagerness / LATE_SECONDS)
        self._at(self._now + seconds + late, self._open, place)

    def _open(self, place: _Place) -> None:
        """There is a token again: those that wait for it ask, one after another, until it is gone."""
        crowd = self._crowds[place]
        elsewhere, until = self._closed.get(place[2], (place, 0.0))
        if elsewhere != place and self._now < until:
            self._open_later(place, until - self._now)  # they would be refused for another reason
            return
        while asker := crowd.next(self._random):
            refused = self._ask(asker)
            if refused is None:
                continue
            # Where they have a bucket of their own, the others lack what the first one lacked: it waits for all.
            if (refused.limit.key, refused.reserved) == place[:2] or not _is_shared(place[0]):
                break
            if not refused.reserved and _is_shared(refused.limit.key):
                break
        if crowd.eagerness:
            self._open_later(place, refused.retry_after_seconds if refused is not None else 0.0)
        else:
            del self._crowds[place]

    def _grant(self, asker: Asker, *, counted: bool) -> None:
        tally, week = self.tally, int(self._now // WEEK)
        tally.grow(week)
        tally.certificates[asker.label][week] += 1
        tally.counted[week] += counted
        kind, asker.kind = asker.kind, None
        asker.wish += 1
        asker.issued += 1
        if asker.sybil:
            self._made_up[asker.number] += kind is Kind.NEW
            self._at(self._now + SYBIL_PAUSE_SECONDS, self._want, asker, kind)
        else:
            tally.waits[asker.label].seconds.append(self._now - asker.since)
            self._waiting.discard(asker)
            self._hold(asker)

    def _hold(self, peer: Asker) -> None:
        """It has a certificate, from now on."""
        self._cover(peer, True)
        life = self.parameters.certificate_days * DAY
        self._at(self._now + life, self._expire, peer, peer.issued)
        due = self._now + life * 2 / 3
        if due < peer.leaves_at:
            self._at(due, self._renew, peer, peer.issued)
        if peer.issued == 1 and self.parameters.names != "peer":
            self._move_later(peer)

    def _give_up(self, asker: Asker) -> None:
        self.tally.waits[asker.label].unserved.append(self._now - asker.since)

    def _order(self, peer: Asker) -> Order:
        return self._order_of(peer.number, IPv4Address(peer.address))

    def _order_of(self, number: int, address: IPAddress) -> Order:
        """With names as short as can be: for the quotas it only counts which of them are the same ones."""
        peer, here = f"p{number}", f"ip{address}"
        names = {"addresses": (here, peer), "peer": ("*." + peer, peer), "both": ("*." + peer, here, peer)}
        return Order(cast("PeerId", peer), names[self.parameters.names], (address,), ECDSA_P256, None, common_name=peer)

    # Those that are made up: in each prefix one part of them wants first certificates, the other ever more.

    def _sybils_later(self) -> Kind:
        return Kind.AGAIN if self.parameters.names == "peer" else Kind.MOVED

    def _sybils_order(self, sybil: Asker) -> Order | None:
        """Of the next peer ID of this prefix, or of one that has a certificate; None if there is none."""
        p = self.parameters
        made = self._made_up[sybil.number]
        if sybil.kind is Kind.NEW:
            number = made
            if made >= p.sybils / p.sybil_prefixes:
                return None
        elif made:
            number = self._random.randrange(made)
        else:
            self._at(self._now + SYBIL_PAUSE_SECONDS, self._want, sybil, sybil.kind)
            return None
        address = IPv6Address(SYBIL_NETWORK + (sybil.number << 80) + self._random.getrandbits(80))
        return self._order_of(FIRST_SYBIL + number * p.sybil_prefixes + sybil.number, address)

    # What is seen of it.

    def _sample(self, progress: Progress) -> None:
        now = START + self._now
        self.tally.grow(int(self._now // WEEK))
        if self._present:
            self.tally.coverage.append((self._now, self._covered / self._present))
        self._states = {key: state for key, state in self._states.items() if state > now}
        progress(self._now, self.tally)
        self._at(self._now + SAMPLE_SECONDS, self._sample, progress)


def _is_shared(key: str) -> bool:
    """Whether it is a bucket of all peers."""
    return key.endswith(("/certificates", "/orders", "/new"))


def _ca(parameters: Parameters) -> CaSettings:
    limits = parameters.limits
    return CaSettings(
        directory=LETS_ENCRYPT,
        certificates_per_week=limits.certificates_per_week,
        orders_per_3_hours=limits.orders_per_3_hours,
        same_names_per_week=LETS_ENCRYPT_LIMITS["same_names_per_week"],
        failures_per_hour=LETS_ENCRYPT_LIMITS["failures_per_hour"],
    )


def _settings(parameters: Parameters) -> IssueSettings:
    server = Multiaddr.parse("/ip4/192.0.2.1/tcp/8959")
    return IssueSettings(
        zone=ZONE,
        proof_servers=(server,),
        dns_servers=(server,),
        names=parameters.names,
        renewal_share=parameters.renewal_share,
        orders_per_peer=parameters.orders_per_peer,
        orders_per_address=parameters.orders_per_address,
        orders_per_48=parameters.orders_per_48,
    )
