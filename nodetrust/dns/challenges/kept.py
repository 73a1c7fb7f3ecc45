"""Challenges that outlive the process: each is on the disk before it is answered, and before its OK.

kill -9, or a power cut, and a start within a challenge's life, and it is answered again. A full disk refuses new
challenges and nothing else; when there is room again, so are there challenges.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from nodetrust.dns.challenges.dns01 import Challenges
from nodetrust.dns.challenges.journal import Change, Journal, Now, boot_id, lasting
from nodetrust.dns.challenges.table import Challenge, ChallengeTable
from nodetrust.dns.errors import ChallengeRefused
from nodetrust.messages import E_OTHER

JOURNAL_FILE = "challenges.journal"
"""In the state folder."""

FOLLOW_SECONDS = 0.25
"""How soon a challenge that was set at one of two servers is answered by the other: sooner than a CA comes to look."""


class Clocks:
    """Both clocks of this machine."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        boot: Callable[[], str] = boot_id,
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._boot = boot()

    def now(self) -> Now:
        """This moment."""
        return Now(self._wall(), self._monotonic(), self._boot)


def restore(journal: Journal, table: ChallengeTable, clocks: Clocks) -> None:
    """Put into the table what the journal has in force, each for the life that it has left; blocks, for the start."""
    now = clocks.now()
    journal.compact(now)
    restored = 0
    in_force = (change for change in journal.news() if change.wall_end)
    for left, challenge in sorted((change.left(now), change.challenge) for change in in_force):
        with suppress(ChallengeRefused):  # a table of another size, once
            table.restore(challenge, min(left, table.life_seconds), now.monotonic)
            restored += 1
    if restored:
        Kept.log.info("{count} challenges are answered again", count=restored)


class Kept:
    """`Challenges` that are kept on the disk, and answered by `inner` from `table`, for its life each.

    What is asked for while the disk is at work goes there together.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, inner: Challenges, journal: Journal, table: ChallengeTable, clocks: Clocks
    ) -> None:
        self._reactor = reactor
        self._inner = inner
        self._journal = journal
        self._life_seconds = table.life_seconds
        self._has = table.__contains__
        self._clocks = clocks
        self._waiting: list[tuple[Change, Deferred[None]]] = []
        self._is_writing = False
        self._is_failing = False
        self._following = LoopingCall(self.follow)
        self._following.clock = reactor

    def start_following(self) -> None:
        """From now on, answer also what another server on the same address writes into the same journal."""
        following = self._following.start(FOLLOW_SECONDS)
        following.addErrback(lambda failure: self.log.failure("the journal is not followed any more", failure=failure))

    def stop(self) -> None:
        """Follow no more."""
        if self._following.running:
            self._following.stop()

    def follow(self) -> Deferred[None]:
        """Answer what the journal says by now; our own changes come by again, and change nothing."""
        return Deferred.fromCoroutine(self._follow())

    async def _follow(self) -> None:
        for change in await self._in_thread(self._journal.news):
            if not change.wall_end:
                await self._inner.remove(change.challenge)
            elif change.left(self._clocks.now()) > 0 and not self._has(change.challenge):
                with suppress(ChallengeRefused):
                    await self._inner.add(change.challenge)

    async def add(self, challenge: Challenge) -> None:
        """On the disk first: an OK that a crash could take back is worth nothing. Raises ChallengeRefused."""
        await self._write(lasting(challenge, self._life_seconds, self._clocks.now()))
        try:
            await self._inner.add(challenge)
        except ChallengeRefused:
            await self._forget(challenge)
            raise

    async def remove(self, challenge: Challenge) -> None:
        """No longer answered, whatever the disk says; one that cannot be forgotten there ends by itself."""
        await self._inner.remove(challenge)
        await self._forget(challenge)

    async def _forget(self, challenge: Challenge) -> None:
        try:
            await self._write(Change(challenge))
        except ChallengeRefused:
            self.log.warn("a challenge that was removed may come back with a restart, until its life ends")

    def _write(self, change: Change) -> Deferred[None]:
        written: Deferred[None] = Deferred()
        self._waiting.append((change, written))
        if not self._is_writing:
            Deferred.fromCoroutine(self._write_all()).addErrback(self._failed)
        return written

    async def _write_all(self) -> None:
        self._is_writing = True
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                refusal = await self._append([change for change, _ in batch])
                for _, written in batch:
                    if refusal is None:
                        written.callback(None)
                    else:
                        written.errback(refusal)
                if self._journal.is_long():
                    await self._in_thread(self._journal.compact, self._clocks.now())
        finally:
            self._is_writing = False

    async def _append(self, changes: list[Change]) -> ChallengeRefused | None:
        try:
            await self._in_thread(self._journal.append, changes)
        except OSError as error:
            if not self._is_failing:  # one line for each change of the disk's mind
                self.log.error("challenges cannot be kept, and are refused: {reason}", reason=error.strerror)
            self._is_failing = True
            return ChallengeRefused(E_OTHER, f"this server cannot keep challenges: {error.strerror}")
        if self._is_failing:
            self.log.info("challenges can be kept again")
        self._is_failing = False
        return None

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work, *arguments)

    def _failed(self, failure: Any) -> None:
        """A bug; whoever waits is told, so that nothing hangs."""
        self.log.failure("the journal of challenges has failed", failure=failure)
        waiting, self._waiting = self._waiting, []
        for _, written in waiting:
            written.errback(ChallengeRefused(E_OTHER, "this server cannot keep challenges"))
