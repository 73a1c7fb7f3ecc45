"""`Requests`: signed and unsigned requests to one CA, with nonces and repeats. RFC 8555 §6 and §7.1.1."""

import random as random_module
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any, TypeVar

from josepy.jwk import JWK
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IAgent

from nodetrust.acme import wire
from nodetrust.acme.deadline import Deadline, Shared
from nodetrust.acme.errors import AcmeError, AcmeMisbehaved, AcmeProblem
from nodetrust.acme.jws import signed_request
from nodetrust.acme.links import links_of
from nodetrust.acme.nonces import NoncePool
from nodetrust.acme.problems import Reaction, problem_of_response, reaction_to
from nodetrust.acme.retries import Retries, parse_retry_after, poll_pause
from nodetrust.acme.transport import MAX_CONNECTIONS, HttpResponse, HttpTransport
from nodetrust.acme.urls import Origin

JSON_TYPE = "application/json"

_PROBLEM_TYPE = "application/problem+json"
_DIRECTORY_SECONDS = 3600.0  # how long a directory is believed

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs: an account by its URL, or, without one, a bare key, which then goes along."""

    key: JWK
    account_url: str | None = None


@dataclass(frozen=True, slots=True)
class _Unsigned:
    """A POST whose nonce is not chosen yet."""

    url: str
    payload: bytes
    signer: Signer
    accept: str

    def signed(self, nonce: str) -> bytes:
        signer = self.signer
        return signed_request(self.payload, signer.key, url=self.url, nonce=nonce, account_url=signer.account_url)


class Requests:
    """Speaks to the CA whose directory is at `directory_url`.

    `trust_root_pem`: the only roots to trust, PEM (None: the system's). `agent`: another way to do HTTP. The reactor's
    clock must show the time of day. Raises `AcmeUsageError` for a URL without https.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        directory_url: str,
        *,
        trust_root_pem: bytes | None = None,
        allow_loopback_http: bool = False,
        agent: IAgent | None = None,
        random: Random | None = None,
    ) -> None:
        self.clock = reactor
        self.origin = Origin.of_directory(directory_url, allow_loopback_http=allow_loopback_http)
        self.random = random_module.SystemRandom() if random is None else random
        self._directory_url = directory_url
        self._transport = HttpTransport(reactor, self.origin, trust_root_pem, agent)
        self._nonces = NoncePool()
        self._directory: tuple[float, wire.Directory] | None = None
        self._fetching: Shared[wire.Directory] = Shared()
        # More requests at a time would only open, and close again, more connections, and ask for more nonces.
        self._slots = DeferredSemaphore(MAX_CONNECTIONS)

    def now(self) -> datetime:
        """The reactor's time of day."""
        return datetime.fromtimestamp(self.clock.seconds(), UTC)

    async def close(self) -> None:
        """Close idle connections."""
        await self._transport.close()

    async def directory(self, deadline: Deadline) -> wire.Directory:
        """The CA's directory, fetched at most once an hour."""
        if (known := self._known_directory()) is not None:
            return known
        return await self._fetching.result(self._fetch_directory, deadline, "waiting for the CA's directory")

    @property
    def last_directory(self) -> wire.Directory | None:
        """The directory as it was when it was fetched last, however long ago."""
        return None if self._directory is None else self._directory[1]

    async def get(self, url: str, deadline: Deadline) -> HttpResponse:
        """An unsigned request, repeated where that is worth it."""
        retries = Retries(self.random)
        while True:
            try:
                return self._judged(await self._in_turn(self._transport.request("GET", url, deadline), deadline))
            except AcmeError as error:
                await self.pause_or_raise(error, retries, deadline)

    async def send(
        self,
        url: str,
        payload: bytes,
        signer: Signer,
        deadline: Deadline,
        *,
        accept: str = JSON_TYPE,
        is_repeatable: bool = True,
    ) -> HttpResponse:
        """A signed request (`b""`: POST-as-GET), repeated where that is worth it.

        What is not `is_repeatable` is repeated only after the CA said that it did nothing.
        """
        retries = Retries(self.random)
        while True:
            try:
                nonces_url = (await self.directory(deadline)).new_nonce
                request = _Unsigned(url, payload, signer, accept)
                answer = await self._in_turn(self._posted(request, nonces_url, deadline), deadline)
                return self._judged(answer, accept)
            except AcmeError as error:
                if not is_repeatable and reaction_to(error) is Reaction.SOON:
                    raise
                await self.pause_or_raise(error, retries, deadline)

    async def pause(self, polls: int, answer: HttpResponse, deadline: Deadline, doing: str) -> None:
        """Wait before the next poll, as long as the last answer wants."""
        asked = parse_retry_after(answer.retry_after, self.now(), answer.date)
        await deadline.sleep(poll_pause(polls, asked, self.random), doing)

    async def pause_or_raise(self, error: AcmeError, retries: Retries, deadline: Deadline) -> None:
        """Wait before the same is tried again, or raise the error where it shall not be."""
        pause = retries.pause_after(error)
        if pause is None or pause >= deadline.remaining_seconds:
            raise error
        if pause > 0:
            await deadline.sleep(pause, "waiting to ask the CA again")

    async def _fetch_directory(self, deadline: Deadline) -> wire.Directory:
        answer = await self.get(self._directory_url, deadline)
        found = wire.parse_directory(answer.body, self.origin)
        self._directory = (self.clock.seconds(), found)
        return found

    def _known_directory(self) -> wire.Directory | None:
        if self._directory is None or self.clock.seconds() - self._directory[0] > _DIRECTORY_SECONDS:
            return None
        return self._directory[1]

    async def _in_turn(self, request: Coroutine[Deferred[Any], Any, _T], deadline: Deadline) -> _T:
        try:
            await deadline.limit(self._slots.acquire(), "waiting for its turn to ask the CA")
        except BaseException:
            request.close()
            raise
        try:
            return await request
        finally:
            self._slots.release()

    async def _posted(self, request: _Unsigned, nonces_url: str, deadline: Deadline) -> HttpResponse:
        nonce = self._nonces.take() or await self._fresh_nonce(nonces_url, deadline)
        body = request.signed(nonce)
        answer = await self._transport.request("POST", request.url, deadline, body=body, accept=request.accept)
        self._nonces.put(answer.nonce)
        return answer

    async def _fresh_nonce(self, url: str, deadline: Deadline) -> str:
        answer = await self._transport.request("HEAD", url, deadline)
        if answer.status >= 400:
            raise self._problem(answer)
        self._nonces.put(answer.nonce)
        nonce = self._nonces.take()
        if nonce is None:
            raise AcmeMisbehaved("the CA gave no nonce")
        return nonce

    def _judged(self, answer: HttpResponse, expected: str = JSON_TYPE) -> HttpResponse:
        if answer.status >= 400:
            raise self._problem(answer)
        if answer.body and answer.media_type != expected:
            raise AcmeMisbehaved(f"the CA sent another type than {expected}")
        return answer

    def _problem(self, answer: HttpResponse) -> AcmeProblem:
        document = None
        if answer.media_type == _PROBLEM_TYPE:
            try:
                document = wire.parse_document(answer.body)
            except AcmeMisbehaved:
                document = None  # the status alone still says enough
        terms = next(iter(links_of(answer.links, "terms-of-service")), None)
        asked = parse_retry_after(answer.retry_after, self.now(), answer.date)
        return problem_of_response(answer.status, asked, document, terms)
