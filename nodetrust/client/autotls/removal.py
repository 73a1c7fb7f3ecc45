"""After an order: the broker takes the challenge's value back, and no certificate waits for that."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.client.autotls.broker import Broker
from nodetrust.errors import NodetrustError

REMOVAL_SECONDS = 20.0
"""For all of it, with a new handshake where the bearer is not good any more."""

STOP_SECONDS = 3.0
"""For what is under way when this peer stops: a value that stays ends by itself, within the hour."""


class Removal:
    """Of what one broker answers for this peer. That it fails is worth a line in the log, and nothing more."""

    log = Logger()

    def __init__(self, clock: Any, broker: Broker) -> None:
        self._clock = clock
        self._broker = broker
        self._running: Deferred[None] | None = None
        self._waiting: list[Deferred[None]] = []
        self._is_able = True
        """Whether the broker can do it, as far as is known."""

    def begin(self) -> None:
        """Ask for it, unless the broker is being asked, or has said that it cannot."""
        if self._running is not None or not self._is_able:
            return
        running = self._running = Deferred.fromCoroutine(self._remove())
        running.addTimeout(REMOVAL_SECONDS, self._clock).addErrback(self._failed).addCallback(self._ended)

    def over(self) -> Deferred[None]:
        """Fires when none is under way: what is set before that is taken back as well."""
        over: Deferred[None] = Deferred(self._waiting.remove)
        if self._running is None:
            over.callback(None)
        else:
            self._waiting.append(over)
        return over

    async def stop(self) -> None:
        """Return when none is under way, STOP_SECONDS from now at most."""
        try:
            await self.over().addTimeout(STOP_SECONDS, self._clock)
        except TimeoutError:
            if self._running is not None:
                self._running.cancel()

    async def _remove(self) -> None:
        try:
            self._is_able = await self._broker.remove()
        except NodetrustError as error:
            self.log.info("the challenge stays until it ends by itself: {reason}", reason=str(error))
            return
        said = "has taken the challenge back" if self._is_able else "takes no challenge back: it ends by itself"
        self.log.info("{broker} {said}", broker=str(self._broker), said=said)

    def _failed(self, failure: Failure) -> None:
        if failure.check(TimeoutError, CancelledError):
            self.log.info("the challenge stays until it ends by itself: {broker} is slow", broker=str(self._broker))
        else:
            self.log.failure("taking a challenge back has failed in a way that is a bug", failure=failure)

    def _ended(self, _: object) -> None:
        self._running = None
        waiting, self._waiting = self._waiting, []
        for over in waiting:
            over.callback(None)
