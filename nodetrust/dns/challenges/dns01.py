"""`/p2p/nodetrust/dns-01/1.0.0`: the issue server sets and removes the values of ACME challenges.

On one stream any number of DNS01Request and DNS01Response alternate. OK means that this server answers with the value
from now on: it is looked up in the answer itself before OK is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.logger import Logger, LogLevel

from nodetrust.dns.answer import answer
from nodetrust.dns.challenges.rights import Rights, decide
from nodetrust.dns.challenges.table import Challenge, ChallengeTable
from nodetrust.dns.errors import ChallengeRefused, RequestUnreadable
from nodetrust.dns.labels import CHALLENGE_LABEL
from nodetrust.dns.records import CLASS_IN, Type, character_string
from nodetrust.dns.respond import Responder
from nodetrust.dns.wire import Query
from nodetrust.libp2p.errors import StreamEnded
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import E_NOT_AUTHORIZED, E_OTHER, OK, DNS01Request, DNS01Response, InvalidMessage, parse

IDLE_SECONDS = 60.0
"""How long the issue server may keep a stream open for its next request; opening another one costs it nothing."""

MAX_TOGETHER = 64
"""Requests of one stream that are obeyed together; as many as a stream keeps unread."""

MAX_REASON_CHARACTERS = 400
"""Of a refusal's text, which repeats a name that may be as long as the request."""


class Challenges(Protocol):
    """Where challenges are kept: in memory alone, or on a disk and in several processes too."""

    async def add(self, challenge: Challenge) -> None:
        """Return when every process of this server answers with it; raise ChallengeRefused when there is no room."""

    async def remove(self, challenge: Challenge) -> None:
        """Return when no process of this server answers with it."""


class ChallengesInMemory:
    """One process, and a table that ends with it: after a restart the issue server's next order sets its own."""

    def __init__(self, table: ChallengeTable, seconds: Callable[[], float]) -> None:
        self._table = table
        self._seconds = seconds

    async def add(self, challenge: Challenge) -> None:
        """Put it into the table."""
        self._table.add(challenge, self._seconds())

    async def remove(self, challenge: Challenge) -> None:
        """Take it out of the table."""
        self._table.remove(challenge)


class Dns01:
    """The protocol for those who have the rights; everyone else is refused, and the stream closed."""

    log = Logger()

    def __init__(self, responder: Responder, challenges: Challenges, rights: Rights) -> None:
        self._responder = responder
        self._challenges = challenges
        self._rights = rights

    async def serve(self, stream: MessageStream) -> None:
        """Answer the requests of one stream, in order; those that are there together go to the disk together."""
        caller = stream.connection.remote_peer
        goes_on = True
        while goes_on:
            try:
                messages = [await stream.read()]
                while stream.has_unread and len(messages) < MAX_TOGETHER and caller in self._rights.admins:
                    messages.append(await stream.read())
            except StreamEnded:
                break
            responses, goes_on = await self.respond(caller, messages)
            for response in responses:
                stream.write(response.SerializeToString())
        stream.close()

    async def respond(self, caller: PeerId, messages: Sequence[bytes]) -> tuple[list[DNS01Response], bool]:
        """The responses to some requests, and whether others may follow; after one that may not be, none is obeyed."""
        responses: list[Deferred[DNS01Response]] = []
        begun: set[Challenge] = set()
        goes_on = True
        for message in messages:
            try:
                request, challenge = self._read(caller, message)
            except ChallengeRefused as error:
                responses.append(succeed(self._refuse(caller, error)))
                goes_on = error.error != E_NOT_AUTHORIZED and not isinstance(error, RequestUnreadable)
                if not goes_on:
                    break
                continue
            if challenge in begun:
                await gatherResults(responses)  # it is set, then removed: one after the other
                begun.clear()
            begun.add(challenge)
            responses.append(Deferred.fromCoroutine(self._answer(caller, request, challenge)))
        return await gatherResults(responses), goes_on

    def _read(self, caller: PeerId, message: bytes) -> tuple[DNS01Request, Challenge]:
        self._rights.check_caller(caller)  # before a stranger's message is read
        try:
            request = parse(DNS01Request, message)
        except InvalidMessage as error:
            raise RequestUnreadable(E_OTHER, str(error)) from None
        origin = self._responder.authority.zone.origin
        challenge = decide(origin, request.fqdn, request.value, self._rights.names)
        self._rights.check_scope(caller, challenge.name)
        return request, challenge

    def _refuse(self, caller: PeerId, error: ChallengeRefused) -> DNS01Response:
        self._responder.counters.challenges_refused += 1
        reason = str(error)[:MAX_REASON_CHARACTERS]
        # Strangers do not fill the log.
        level = LogLevel.warn if caller in self._rights.admins else LogLevel.debug
        self.log.emit(level, "refused a challenge of {caller}: {reason}", caller=str(caller), reason=reason)
        return DNS01Response(error=error.error, message=reason)

    async def _answer(self, caller: PeerId, request: DNS01Request, challenge: Challenge) -> DNS01Response:
        try:
            await self._obey(request, challenge)
        except ChallengeRefused as error:
            return self._refuse(caller, error)
        done = "removed" if request.remove else "added"
        self.log.info("{caller} {done} a challenge for {name}", caller=str(caller), done=done, name=request.fqdn)
        return DNS01Response(error=OK)

    async def _obey(self, request: DNS01Request, challenge: Challenge) -> None:
        if request.remove:
            await self._challenges.remove(challenge)
            self._responder.counters.challenges_removed += 1
            return
        await self._challenges.add(challenge)
        if not self._is_answered(challenge):
            await self._challenges.remove(challenge)
            raise ChallengeRefused(E_OTHER, f"{request.fqdn}: this server's zone file has other records there")
        self._responder.counters.challenges_added += 1

    def _is_answered(self, challenge: Challenge) -> bool:
        query = Query(0, 0, b"", (CHALLENGE_LABEL, *challenge.name), Type.TXT, CLASS_IN, None)
        sections = answer(query, self._responder.authority, self._responder.seconds()).answers
        return any(character_string(challenge.value) in rrset.rdatas for _, rrset in sections)
