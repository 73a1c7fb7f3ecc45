"""One DNS server: it is told what its outbox holds, over a few streams at once, and again until it has confirmed.

A server that cannot be reached, hangs, or ends a stream too early has not confirmed: what it was sent is sent again
after a pause. One that answers with a refusal is asked again, too (its disk may have been full), but whoever waits is
told at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.challenges.errors import DnsServerError
from nodetrust.challenges.outbox import Challenge, Outbox, Wish
from nodetrust.challenges.streams import IdleStreams
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError, Timeout
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import (
    DNS01_PROTOCOL,
    E_RATE_LIMIT,
    MAX_DNS01_RESPONSE_BYTES,
    OK,
    DNS01Request,
    DNS01Response,
    parse,
)

REACH_SECONDS = 6.0
"""For a connection and a stream on it."""

RESPONSE_SECONDS = 6.0
"""How long a DNS server may take to answer a request; it only has to note the value."""

MAX_STREAMS = 8
"""Side by side: a server brings what comes on one stream to its disk one by one, and what comes on several together."""

BATCH = 32
"""Requests that are sent before the first answer is there: those of an order, or of a few."""


class DnsServer:
    """A DNS server of the zone, and everything that it has yet to be told."""

    log = Logger()

    def __init__(self, clock: Any, host: Host, peer: PeerId, addresses: Sequence[Multiaddr]) -> None:
        self.peer = peer
        self.trouble = ""
        """What was wrong when it was last spoken to; nothing where it did as it was asked."""
        self.answers = True
        """Whether it answered then, be it with a refusal."""
        self._clock = clock
        self._host = host
        self._addresses = addresses
        self._outbox = Outbox()
        self._waiting: dict[Wish, list[_Waiting]] = {}
        self._couriers: set[Deferred[None]] = set()
        self._idle_streams = IdleStreams(clock, MAX_STREAMS)
        self._timer: IDelayedCall | None = None
        self._stopped = False
        self._idle: Deferred[None] | None = None

    @property
    def pending(self) -> int:
        """How many challenges it has yet to be told to set or to remove."""
        return len(self._outbox)

    def owes(self, challenges: Iterable[Challenge]) -> bool:
        """Whether it has yet to be told about one of these."""
        return any(one in self._outbox for one in challenges)

    def publish(self, challenges: Iterable[Challenge]) -> Deferred[None]:
        """Set them; fires when all are confirmed. Fails with `DnsServerError` only if the server refuses one.

        To cancel it changes nothing of what the server is told: for that, withdraw them.
        """
        return self._want([Wish(one, remove=False) for one in dict.fromkeys(challenges)], patient=True)

    def withdraw(self, challenges: Iterable[Challenge]) -> Deferred[None]:
        """Remove them, which goes on until it is done; fires when it is, and fails when the first attempt has."""
        return self._want([Wish(one, remove=True) for one in dict.fromkeys(challenges)], patient=False)

    def look(self) -> None:
        """Begin to see whether it can be reached, so that it is known, and said, before an order needs it."""
        if not self._couriers:
            self._begin(self._deliver([]))

    def stop(self, seconds: float) -> Deferred[None]:
        """Begin nothing any more, and give what is being told so many seconds; fires when it is over."""
        self._stopped = True
        self._set_timer(None)
        self._idle_streams.close()
        idle: Deferred[None] = Deferred()
        self._idle = idle
        if not self._couriers:
            self._idle = None
            idle.callback(None)
        return idle.addTimeout(seconds, self._clock, lambda *_: self._cancel())

    def _cancel(self) -> None:
        for courier in list(self._couriers):
            courier.cancel()

    # Who wants what.

    def _want(self, wishes: Collection[Wish], *, patient: bool) -> Deferred[None]:
        waiting = _Waiting(wishes, patient, self._forget)
        now = self._clock.seconds()
        for wish in wishes:
            want = self._outbox.remove if wish.remove else self._outbox.set
            if not want(wish.challenge, now):
                self._fail([waiting], DnsServerError(f"the DNS server {self.peer}: too much waits for it already"))
                break
            self._waiting.setdefault(wish, []).append(waiting)
            if wish.challenge not in self._outbox:
                self._confirmed(wish)
        self._send()
        return waiting.done

    def _confirmed(self, wish: Wish) -> None:
        for waiting in self._waiting.pop(wish, ()):
            waiting.left.discard(wish)
            if not waiting.left:
                waiting.done.callback(None)

    def _fail(self, failed: Iterable[_Waiting], error: DnsServerError) -> None:
        for waiting in set(failed):
            self._forget(waiting)
            waiting.done.errback(error)

    def _forget(self, waiting: _Waiting) -> None:
        for wish in waiting.left:
            others = self._waiting.get(wish, [])
            if waiting in others:
                others.remove(waiting)
            if not others:
                self._waiting.pop(wish, None)

    # Telling it.

    def _send(self) -> None:
        """Send out a courier if there is something to tell now and one is free, and set the timer for what is left."""
        self._set_timer(None)
        if self._stopped or len(self._couriers) >= MAX_STREAMS:
            return
        batch = self._outbox.take(self._clock.seconds(), BATCH)
        if batch:
            self._begin(self._deliver(batch))
        self._set_timer(self._outbox.seconds_to_next(self._clock.seconds()))

    def _begin(self, delivery: Coroutine[Any, Any, None]) -> None:
        courier = Deferred.fromCoroutine(delivery)
        self._couriers.add(courier)
        courier.addBoth(self._delivered, courier)

    async def _deliver(self, batch: list[Wish]) -> None:
        """Tell it a batch, or with an empty one see whether it can be reached, and then whatever else is due."""
        try:
            stream = (self._idle_streams.take() if batch else None) or await self._open(lazy=bool(batch))
        except DnsServerError as error:
            self._outbox.postpone(batch, self._clock.seconds())
            self._outbox.postpone_all(self._clock.seconds())
            self._failed(error)
            return
        answers = False
        try:
            if not batch:  # all that a look can tell
                self._recovered()
                self._outbox.reached()
                batch = self._outbox.take(self._clock.seconds(), BATCH)
            while batch:
                await self._tell(stream, batch)
                batch = self._outbox.take(self._clock.seconds(), BATCH)
            answers = True
        except DnsServerError as error:
            self._failed(error)
        finally:
            self._idle_streams.keep(stream) if answers else stream.close()

    async def _open(self, *, lazy: bool) -> MessageStream:
        """`lazy`: without waiting for the server's word that it speaks the protocol."""
        try:
            return await Deferred.fromCoroutine(self._reach(lazy)).addTimeout(REACH_SECONDS, self._clock)
        except TimeoutError:
            self._distrust()
            raise DnsServerError(f"the DNS server {self.peer} could not be reached in {REACH_SECONDS:.0f} s") from None
        except Libp2pError as error:
            raise DnsServerError(f"the DNS server {self.peer} could not be reached: {error}") from error

    async def _reach(self, lazy: bool) -> MessageStream:
        await self._host.connect(self._addresses, self.peer)
        return await self._host.open_messages(
            self.peer, [DNS01_PROTOCOL], max_bytes=MAX_DNS01_RESPONSE_BYTES, timeout=RESPONSE_SECONDS, lazy=lazy
        )

    async def _tell(self, stream: MessageStream, batch: Sequence[Wish]) -> None:
        """Send all requests, then take the responses; what has had none by the end is told again later."""
        left = deque(batch)
        self._outbox.told(batch)
        try:
            for wish in batch:
                name, value = wish.challenge
                stream.write(DNS01Request(fqdn=name, value=value, remove=wish.remove).SerializeToString())
            while left:
                response = parse(DNS01Response, await stream.read())
                self._take_response(left.popleft(), response)
        except (Libp2pError, NodetrustError) as error:
            if isinstance(error, Timeout):
                self._distrust()
            raise DnsServerError(f"the DNS server {self.peer} did not answer: {error}") from error
        finally:
            self._outbox.postpone(left, self._clock.seconds())

    def _take_response(self, wish: Wish, response: DNS01Response) -> None:
        if response.error == OK:
            self._recovered()
            self._outbox.confirm(wish)
            self._confirmed(wish)
            return
        reason = response.message or f"error {response.error}"
        verb = "remove" if wish.remove else "take"
        error = DnsServerError(f"the DNS server {self.peer} did not {verb} {wish.challenge[0]}: {reason}")
        self.trouble, self.answers = str(error), True
        self._outbox.refused(wish, self._clock.seconds())
        if response.error != E_RATE_LIMIT:  # else there is no room: orders for the same name end, and it is asked again
            self._fail(self._waiting.get(wish, ()), error)

    def _delivered(self, result: Failure | None, courier: Deferred[None]) -> None:
        self._couriers.discard(courier)
        if isinstance(result, Failure) and not result.check(CancelledError):
            self.log.failure("a DNS server could not be told, which is a bug", failure=result)
        self._send()
        if self._idle is not None and not self._couriers:
            idle, self._idle = self._idle, None
            idle.callback(None)

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None if seconds is None else self._clock.callLater(seconds, self._send)

    # How it is.

    def _failed(self, error: DnsServerError) -> None:
        """Once in the log, until it is well again."""
        if self.answers:
            self.log.warn("{reason}; it is tried again", reason=str(error))
        self.trouble, self.answers = str(error), False
        self._fail([one for waiting in self._waiting.values() for one in waiting if not one.patient], error)

    def _recovered(self) -> None:
        if not self.answers:
            self.log.info("the DNS server {peer} answers again", peer=str(self.peer))
        self.trouble, self.answers = "", True

    def _distrust(self) -> None:
        """Drop connections on which nothing comes: after a cut, TCP may be silent for as long again as the cut was."""
        for connection in self._host.connections(self.peer):
            connection.abort()


class _Waiting:
    """Somebody who waits until all of these are confirmed or, if not `patient`, the first attempt is over."""

    def __init__(self, wishes: Iterable[Wish], patient: bool, forget: Callable[[_Waiting], None]) -> None:
        self.left = set(wishes)
        self.patient = patient
        self.done: Deferred[None] = Deferred(lambda _: forget(self))
