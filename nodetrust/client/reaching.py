"""Has others dial our WSS addresses, now and again, and says which of them may be announced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.client.reach import Reach
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.multiaddr import Multiaddr


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one address; `reached` is None where nobody knows.

    If it was not reached, `advice` is one sentence that says what to do.
    """

    address: Multiaddr
    reached: bool | None
    advice: str = ""


Look: TypeAlias = Callable[[Sequence[Multiaddr]], Awaitable[Sequence[Finding]]]
"""Has the addresses dialled from outside; raises an error of ours where nobody can do that."""


class Reaching:
    """Calls `announce` with the addresses whenever they are others than before. Without `look`, all are hoped for."""

    log = Logger()

    def __init__(
        self, clock: Any, random: Random, look: Look | None, announce: Callable[[tuple[Multiaddr, ...]], None]
    ) -> None:
        self.reach = Reach()
        self.findings: tuple[Finding, ...] = ()
        """Of the last look."""
        self._clock = clock
        self._random = random
        self._look = look
        self._announce = announce
        self._told: tuple[Multiaddr, ...] = ()
        self._waiting: IDelayedCall | None = None
        self._looking: Deferred[None] | None = None
        self._stopped = False

    def consider(self, candidates: Sequence[Multiaddr]) -> None:
        """These are our addresses now; those that are new are looked at at once."""
        if self.reach.consider(candidates):
            self._tell()
            self._begin()

    def look_again(self) -> None:
        """Something has changed that may make a closed address an open one, or the other way round."""
        if self.reach.candidates:
            self._begin()

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        self._cancel()

    def _cancel(self) -> None:
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
        if self._looking is not None:
            self._looking.cancel()
        self._waiting = self._looking = None

    def _begin(self) -> None:
        """A look that is under way is for what was: it is begun anew."""
        self._cancel()
        if self._stopped or not self.reach.candidates:
            return
        if self._look is None:
            self.reach.cannot_look()
            self._tell()
            return
        looking = self._looking = Deferred.fromCoroutine(self._look_once(self._look))
        looking.addCallbacks(lambda _: self._wait(), self._failed)

    async def _look_once(self, look: Look) -> None:
        try:
            findings = await look(self.reach.candidates)
        except (NodetrustError, Libp2pError) as error:
            self.log.info("it cannot be known whether others reach WSS: {reason}", reason=str(error))
            self.reach.cannot_look()
        else:
            self.findings = tuple(findings)
            closed = self.reach.looked({one.address: one.reached for one in findings if one.reached is not None})
            for one in findings:
                if one.address in closed:
                    self.log.warn("not announced, since nobody can dial it: {advice}", advice=one.advice)
        self._tell()

    def _wait(self) -> None:
        if not self._stopped:
            wait = self.reach.seconds_to_look(self._random.random())
            self._waiting = self._clock.callLater(wait, self._begin)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("looking at WSS from outside has failed, which is a bug", failure=failure)
            self._wait()

    def _tell(self) -> None:
        if self.reach.announced != self._told:
            self._told = self.reach.announced
            for address in self._told:
                self.log.info("WSS at {address}", address=str(address))
            self._announce(self._told)
