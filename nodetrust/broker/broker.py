"""What is done for a peer that has proven who it is: set a value, take it back, tell how things are."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.broker.decide import MAX_DIALS, Rules, Visit, check_lists
from nodetrust.broker.dialback import TOO_MANY_REQUESTS, DialBack, Report
from nodetrust.broker.errors import Refusal
from nodetrust.broker.metrics import BrokerCounters
from nodetrust.broker.quota import PREFIX, Quota, draws
from nodetrust.broker.wire import BAD_REQUEST, read_registration, to_time, tried_json
from nodetrust.challenges.errors import DnsServerError
from nodetrust.challenges.outbox import Challenge
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.quotas import Exhausted
from nodetrust.store import Store, StoredDialback, StoredRegistration, StoreError

MAX_VALUES = 2
"""Side by side for one peer: of a renewal that begins while an order is still looked at."""

PUBLISH_SECONDS = 20.0
"""With the dial-back before it, well below the minute after which js-libp2p gives up."""

CLEAN_SECONDS = 60.0
CLEAN_AT_ONCE = 100
DIALBACK_LIFE = timedelta(days=1)
"""Whoever makes up peers leaves one each."""

SERVER_ERROR = 500


class Challenges(Protocol):
    """The zone's DNS servers."""

    async def publish(self, challenges: Sequence[Challenge]) -> None:
        """Return when they answer with all values; raises `DnsServerError`."""

    async def withdraw(self, challenges: Sequence[Challenge]) -> None:
        """Have them forget the values, now or as soon as they can be reached."""


class Broker:
    """Each method raises `Refusal` for what it does not do. Cancelling takes back what was begun."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        zone: str,
        rules: Callable[[], Rules],
        quota: Quota,
        *,
        value_seconds: float,
        store: Store,
        dns: Challenges,
        dialback: DialBack,
        counters: BrokerCounters,
    ) -> None:
        self._reactor = reactor
        self._zone = zone
        self._rules = rules
        self._quota = quota
        self._life = timedelta(seconds=value_seconds)
        self._store = store
        self._dns = dns
        self._dialback = dialback
        self._counters = counters
        self._cleaning = LoopingCall(self._clean)
        self._cleaning.clock = reactor

    def start(self) -> None:
        """Take back what is over, from time to time."""
        self._cleaning.start(CLEAN_SECONDS, now=False).addErrback(self._log_bug)

    def stop(self) -> None:
        """Clean no more."""
        if self._cleaning.running:
            self._cleaning.stop()

    async def register(self, visit: Visit, body: bytes) -> None:
        """Set the value that the body has, if the peer is met at one of the addresses there."""
        registration = read_registration(body)
        rules = self._rules()
        check_lists(rules, visit, registration.addresses)
        await self._spend(visit)
        report = await self._dialback.test(registration.addresses, visit, rules)
        self._counters.probed(visit.user_agent, reached=report.reached)
        dialback = self._kept(visit.peer, report)
        if not report.reached:
            await self._keep(dialback)
            wait = report.retry_after_seconds
            status = BAD_REQUEST if wait is None else TOO_MANY_REQUESTS
            text = f"error testing addresses: {report}"
            raise Refusal(status, text, retry_after_seconds=wait, tried=report.tried)
        await self._set(registration.value, dialback)
        self.log.info("{peer} at {ip} has a challenge set", peer=str(visit.peer), ip=str(visit.ip))

    async def remove(self, peer: PeerId) -> None:
        """Take back all that is set for the peer."""
        try:
            await self._take_back(await self._store.registrations(peer.multihash))
        except StoreError as error:
            raise self._out_of_order("error removing value", error) from error

    async def status(self, peer: PeerId) -> dict[str, Any]:
        """What is set for the peer, until when, and what became of its addresses the last time."""
        try:
            registrations = await self._store.registrations(peer.multihash)
            dialback = await self._store.dialback(peer.multihash)
        except StoreError as error:
            raise self._out_of_order("error reading status", error) from error
        now = self._now()
        return {
            "peer": str(peer),
            "name": f"_acme-challenge.{self._name(peer)}",
            "values": [
                {"value": one.value, "until": to_time(one.until.timestamp())}
                for one in registrations
                if one.until > now
            ],
            "dialback": None if dialback is None else _dialback_json(dialback),
        }

    async def _spend(self, visit: Visit) -> None:
        try:
            await self._store.spend(draws(self._quota, visit), self._now())
        except Exhausted as error:
            text = f"429 Too Many Requests: {error}"
            raise Refusal(TOO_MANY_REQUESTS, text, retry_after_seconds=error.retry_after_seconds) from error
        except StoreError as error:
            raise self._out_of_order("error storing value", error) from error

    def _kept(self, peer: PeerId, report: Report) -> StoredDialback:
        outcome = json.dumps({"reached": report.reached, "addresses": tried_json(report.tried[:MAX_DIALS])})
        return StoredDialback(peer.multihash, self._now(), outcome)

    async def _keep(self, dialback: StoredDialback) -> None:
        try:
            await self._store.save_dialback(dialback)
        except StoreError as error:
            raise self._out_of_order("error storing value", error) from error

    async def _set(self, value: str, dialback: StoredDialback) -> None:
        """In the store before a DNS server hears of it, so that whatever happens it is taken back in the end."""
        now = self._now()
        mine = StoredRegistration(dialback.peer_id, value, now, now + self._life)
        try:
            await self._take_back(await self._store.register(mine, MAX_VALUES, dialback))
            publishing = Deferred.fromCoroutine(self._dns.publish([self._challenge(mine)]))
            await publishing.addTimeout(PUBLISH_SECONDS, self._reactor)
        except CancelledError:
            await self._undo(mine)
            raise
        except (StoreError, DnsServerError, TimeoutError) as error:
            await self._undo(mine)
            raise self._out_of_order("error storing value", error) from error

    async def _undo(self, mine: StoredRegistration) -> None:
        """Now or, where the store is away, when its time is up."""
        try:
            await self._take_back([mine])
        except StoreError as error:
            self.log.error("a challenge is taken back later: {reason}", reason=str(error))

    async def _take_back(self, gone: list[StoredRegistration]) -> None:
        if gone:
            await self._dns.withdraw([self._challenge(one) for one in gone])
            await self._store.unregister(gone)

    async def _clean(self) -> None:
        now = self._now()
        try:
            await self._take_back(await self._store.ended_registrations(now, CLEAN_AT_ONCE))
            await self._store.clear_dialbacks(now - DIALBACK_LIFE, PREFIX, now)
        except StoreError as error:
            self.log.error("what is over could not be taken back: {reason}", reason=str(error))

    def _log_bug(self, failure: Failure) -> None:
        self.log.failure("what is over is not taken back any more, which is a bug", failure=failure)

    def _challenge(self, registration: StoredRegistration) -> Challenge:
        return self._name(PeerId(registration.peer_id)), registration.value

    def _name(self, peer: PeerId) -> str:
        return f"{peer.to_cid_base36()}.{self._zone}"

    def _out_of_order(self, begin: str, error: Exception) -> Refusal:
        self.log.error("{begin}: {reason}", begin=begin, reason=str(error) or "too slow")
        reason = "the database is out of order" if isinstance(error, StoreError) else "a DNS server did not confirm it"
        return Refusal(SERVER_ERROR, f"{begin}: {reason}")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._reactor.seconds(), UTC)


def _dialback_json(dialback: StoredDialback) -> dict[str, Any]:
    outcome = json.loads(dialback.outcome)
    return {"at": to_time(dialback.dialled_at.timestamp()), **outcome}
