"""Requests to a broker, bounded and plain.

Redirects are not followed, compressed bodies not asked for, and what is too long or too slow is cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from nodetrust.acme.plain_http import (
    CONNECTION_ERRORS,
    UNTRUSTED,
    BodyTooLong,
    PlainAgent,
    WholeBody,
    causes,
    whole_body,
)
from nodetrust.client.autotls.errors import BrokerUnreachable, BrokerUntrusted
from nodetrust.service import AGENT_VERSION

MAX_BODY_BYTES = 16 * 1024
"""Of an answer; p2p-forge's longest says of each address why it could not be dialled."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, of any status; a body that was too long is cut."""

    status: int
    headers: Headers
    body: bytes


class Https:
    """Requests to one server that belong together: its cookies go from each to the next."""

    def __init__(self, reactor: Any, agent: IAgent) -> None:
        self._reactor = reactor
        self._client = HTTPClient(PlainAgent(agent, _as_it_is), data_to_body_producer=WholeBody)

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> Answer:
        """Ask, and read the whole answer. Raises `BrokerUnreachable`."""
        asking = Deferred.fromCoroutine(self._exchange(method, url, headers, body))
        try:
            return await asking.addTimeout(seconds, self._reactor)
        except DeferredTimeout:
            raise BrokerUnreachable(f"{url}: no answer within {seconds:g} seconds") from None

    async def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        try:
            return await self._answer(method, url, headers, body)
        except CONNECTION_ERRORS as error:
            reasons = causes(error)
            if isinstance(reasons[0], UNTRUSTED):
                raise BrokerUntrusted(f"{url}: it has no TLS certificate that is trusted here for this name") from error
            raise BrokerUnreachable(f"{url}: {str(reasons[0]) or type(reasons[0]).__name__}") from error

    async def _answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        whole = Headers({name: [value] for name, value in {"User-Agent": AGENT_VERSION, **headers}.items()})
        response: Any = await self._client.request(
            method, url, headers=whole, data=body, allow_redirects=False, unbuffered=True, reactor=self._reactor
        )
        try:
            received = await whole_body(response, MAX_BODY_BYTES)
        except BodyTooLong as error:
            received = error.received
        return Answer(response.code, response.headers, received)


def _as_it_is(response: IResponse) -> None:
    """A body that is encoded although nobody has asked for that is not unpacked."""
    response.headers.removeHeader("Content-Encoding")
