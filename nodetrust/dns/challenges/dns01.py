"""`/p2p/nodetrust/dns-01/1.0.0`: the issue server sets and removes the values of ACME challenges.

On one stream any number of DNS01Request and DNS01Response alternate. OK means that this server answers with the value
from now on: it is looked up in the answer itself before OK is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

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
        """Answer the requests of one stream, in order."""
        caller = stream.connection.remote_peer
        while True:
            try:
                message = await stream.read()
            except StreamEnded:
                break
            response, goes_on = await self.respond(caller, message)
            stream.write(response.SerializeToString())
            if not goes_on:
                break
        stream.close()

    async def respond(self, caller: PeerId, message: bytes) -> tuple[DNS01Response, bool]:
        """The response to one request, and whether another may follow it."""
        try:
            await self._obey(caller, message)
        except ChallengeRefused as error:
            self._responder.counters.challenges_refused += 1
            reason = str(error)[:MAX_REASON_CHARACTERS]
            # Strangers do not fill the log.
            level = LogLevel.warn if caller in self._rights.admins else LogLevel.debug
            self.log.emit(level, "refused a challenge of {caller}: {reason}", caller=str(caller), reason=reason)
            goes_on = error.error != E_NOT_AUTHORIZED and not isinstance(error, RequestUnreadable)
            return DNS01Response(error=error.error, message=reason), goes_on
        return DNS01Response(error=OK), True

    async def _obey(self, caller: PeerId, message: bytes) -> None:
        self._rights.check_caller(caller)  # before a stranger's message is read
        try:
            request = parse(DNS01Request, message)
        except InvalidMessage as error:
            raise RequestUnreadable(E_OTHER, str(error)) from None
        origin = self._responder.authority.zone.origin
        challenge = decide(origin, request.fqdn, request.value, self._rights.names)
        self._rights.check_scope(caller, challenge.name)
        if request.remove:
            await self._challenges.remove(challenge)
            self._responder.counters.challenges_removed += 1
        else:
            await self._challenges.add(challenge)
            if not self._is_answered(challenge):
                await self._challenges.remove(challenge)
                raise ChallengeRefused(E_OTHER, f"{request.fqdn}: this server's zone file has other records there")
            self._responder.counters.challenges_added += 1
        done = "removed" if request.remove else "added"
        self.log.info("{caller} {done} a challenge for {name}", caller=str(caller), done=done, name=request.fqdn)

    def _is_answered(self, challenge: Challenge) -> bool:
        query = Query(0, 0, b"", (CHALLENGE_LABEL, *challenge.name), Type.TXT, CLASS_IN, None)
        sections = answer(query, self._responder.authority, self._responder.seconds()).answers
        return any(character_string(challenge.value) in rrset.rdatas for _, rrset in sections)
