"""Dialling a node's addresses until it is met at one of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.interfaces import IResolver

from nodetrust.addresses import direct_ip
from nodetrust.broker.decide import MAX_DIALS, Chosen, Named, Rules, Visit, choose, choose_of_name, shown
from nodetrust.broker.errors import Refusal, Tried
from nodetrust.broker.targets import Targets
from nodetrust.libp2p.errors import DialError
from nodetrust.libp2p.staggered import AllFailed, first_success
from nodetrust.libp2p.transports.resolve import resolve
from nodetrust.libp2p.transports.sockets import HostReactor
from nodetrust.messages import CheckFault
from nodetrust.names import IPAddress
from nodetrust.reachability.bounds import Bounds, Rates
from nodetrust.reachability.decide import Asker, Dial
from nodetrust.reachability.dial import BackDialer
from nodetrust.reachability.errors import Refusal as TooMuch
from nodetrust.reachability.outcome import Outcome

if TYPE_CHECKING:
    from twisted.internet._sslverify import IOpenSSLTrustRoot  # the name by which Twisted documents it

LOOKUP_SECONDS = 8.0
"""For all names of a request together; a node that is there is dialled by its addresses, too."""

RATES = Rates(dials_per_peer=64, dials_per_network=256, burst=500, checks_per_second=50.0)
"""Dials in ten minutes: js-libp2p tries again every few seconds for as long as the CA, or the broker, is not content;
and what a broker does is to dial. Beside these are the quotas of registrations, which outlive a restart."""

TOO_MANY_REQUESTS = 429
NOT_TRIED = "NOT_TRIED"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of each address, in the order of the request."""

    reached: bool
    tried: tuple[Tried, ...]
    retry_after_seconds: float | None = None
    """When to ask again, where nothing was dialled, and something would have been but for that it is too soon."""

    def __str__(self) -> str:
        return "; ".join(f"{one.address}: {one.message or 'reached'}" for one in self.tried)


class DialBack:
    """Dials what `decide` allows. `resolver` looks names up, else the system does."""

    def __init__(
        self, reactor: HostReactor, resolver: IResolver | None = None, trust_root: IOpenSSLTrustRoot | None = None
    ) -> None:
        self._reactor = reactor
        self._resolver = resolver
        self._dialer = BackDialer(reactor, trust_root)
        self._bounds = Bounds(RATES)
        self._targets = Targets()

    async def test(self, addresses: Sequence[str], visit: Visit, rules: Rules) -> Report:
        """Whether the peer is met anywhere. Raises `Refusal` where nothing is tried. Cancelling leaves nothing open."""
        known = await self._chosen(choose(addresses, visit, rules), visit, rules)
        dials = list(dict.fromkeys(one.dial for one in known if isinstance(one, Chosen)))[:MAX_DIALS]
        waits: dict[Dial, float] = {}
        outcomes: dict[Dial, Outcome] = {}
        if dials:
            try:
                with self._bounds.room(Asker(visit.peer, visit.ip, None), len(dials), self._reactor.seconds()):
                    waits = self._count(dials, visit)
                    outcomes = await self._dial([one for one in dials if one not in waits], visit)
            except TooMuch as error:
                raise Refusal(TOO_MANY_REQUESTS, str(error), retry_after_seconds=error.retry_after_seconds) from None
        tried = tuple(one if isinstance(one, Tried) else _tried(one, outcomes, waits) for one in known)
        reached = any(outcome.reachable for outcome in outcomes.values())
        return Report(reached, tried, None if outcomes else min(waits.values(), default=None))

    def when_closed(self) -> Deferred[None]:
        """Fires when no connection is open any more."""
        return self._dialer.when_closed()

    async def _chosen(
        self, decisions: Iterable[Chosen | Named | Tried], visit: Visit, rules: Rules
    ) -> list[Chosen | Tried]:
        """Names looked up, once, all at the same time."""
        decisions = list(decisions)
        named = [one for one in decisions if isinstance(one, Named)][:MAX_DIALS]
        looking = [Deferred.fromCoroutine(self._look_up(one, visit, rules)) for one in named]
        try:
            found = await gatherResults(looking, consumeErrors=True)
        except FirstError as first:  # cancelled, or a bug
            first.subFailure.raiseException()
            raise
        of_name = dict(zip(named, found, strict=True))
        known: list[Chosen | Tried] = []
        for one in decisions:
            if not isinstance(one, Named):
                known.append(one)
            else:
                known += of_name.get(one, [Tried(shown(one.text), NOT_TRIED, "too many names")])
        return known

    async def _look_up(self, named: Named, visit: Visit, rules: Rules) -> list[Chosen | Tried]:
        looking = Deferred.fromCoroutine(resolve(named.target, self._resolver, self._reactor.nameResolver))
        try:
            ips = await looking.addTimeout(LOOKUP_SECONDS, self._reactor)
        except (DialError, TimeoutError) as error:
            return [Tried(shown(named.text), CheckFault.Name(CheckFault.FAILED), shown(str(error)) or "no answer")]
        return choose_of_name(named, ips, visit, rules)

    def _count(self, dials: Sequence[Dial], visit: Visit) -> dict[Dial, float]:
        """Those whose address was dialled too often lately, and for how many seconds it may not be."""
        now = self._reactor.seconds()
        waits = {dial: self._targets.draw(_ip(dial), visit.ip, now) for dial in dials}
        return {dial: wait for dial, wait in waits.items() if wait}

    async def _dial(self, dials: Sequence[Dial], visit: Visit) -> dict[Dial, Outcome]:
        """All at once; what is known when the peer was met, or when all have failed."""
        outcomes: dict[Dial, Outcome] = {}

        async def reach(dial: Dial) -> None:
            outcomes[dial] = await self._dialer.reach(dial)
            if not outcomes[dial].reachable:
                raise _NotMet
            self._targets.met(_ip(dial), visit.ip, self._reactor.seconds())

        try:
            await first_success([partial(reach, dial) for dial in dials], self._reactor, stagger_seconds=0)
        except AllFailed as failed:
            for reason in failed.reasons:
                if not isinstance(reason, _NotMet):  # a bug
                    raise reason from None
        return outcomes


class _NotMet(Exception):
    pass


def _ip(dial: Dial) -> IPAddress:
    ip = direct_ip(dial.address)
    assert ip is not None  # noqa: S101  # `decide` puts one in place of each name
    return ip


def _tried(chosen: Chosen, outcomes: Mapping[Dial, Outcome], waits: Mapping[Dial, float]) -> Tried:
    text = shown(chosen.text)
    wait = waits.get(chosen.dial)
    if wait is not None:
        seconds = math.ceil(wait)
        return Tried(text, NOT_TRIED, f"{_ip(chosen.dial)} was dialled too often lately: try again in {seconds} s")
    outcome = outcomes.get(chosen.dial)
    if outcome is None:
        return Tried(text, NOT_TRIED, f"not dialled to the end: the node was met, or {MAX_DIALS} others came before it")
    return Tried(text, None if outcome.fault is None else CheckFault.Name(outcome.fault), shown(outcome.message))
