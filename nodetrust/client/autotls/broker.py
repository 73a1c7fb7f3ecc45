"""One broker: is it well, and, in this peer's name, a challenge's value set, told of, and removed."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from twisted.web.iweb import IAgent

from nodetrust.acme.plain_http import header_values
from nodetrust.acme.retries import parse_retry_after
from nodetrust.client.autotls.errors import BrokerRefused
from nodetrust.client.autotls.https import Answer, Https
from nodetrust.client.autotls.wire import (
    HEALTH_PATH,
    REGISTRATION_PATH,
    STATUS_PATH,
    TOKEN_HEADER,
    InvalidStatus,
    Status,
    read_status,
    refusal,
    registration_body,
    unhealthy,
)
from nodetrust.client.errors import ObtainError
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.messages import E_NOT_AUTHORIZED, E_OTHER
from nodetrust.peer_auth import CHALLENGE_BYTES, ClientHandshake, PeerAuthError, Token, challenge_of, hostname_of

HEALTH_SECONDS = 15.0
"""As p2p-forge's own client."""

CHALLENGE_SECONDS = 15.0
"""For a server's challenge: it needs no work."""

REGISTER_SECONDS = 90.0
"""For the real request: the broker dials every address, each for 15 seconds at most, and tells its DNS servers."""

REMOVE_SECONDS = 10.0
"""For the broker to tell its DNS servers; ours gives each of them a second."""

NO_CONTENT = 204
OK = 200

STATUS_SECONDS = 10.0

UNKNOWN = frozenset({400, 404, 405, 501})
"""How a broker says that it does not do a thing that was asked for: p2p-forge 0.10 with 400 or 404, others as RFC 9110
has it."""


class Broker:
    """Keeps the bearer from one registration to the next: it spares the broker a handshake."""

    def __init__(self, reactor: Any, agent: IAgent, url: str, key: PrivateKey, forge_token: str = "") -> None:
        """`url`: https, as in the setting; the API's paths are added."""
        self._reactor = reactor
        self._agent = agent
        self._url = url.rstrip("/")
        self._key = key
        self._forge_token = forge_token
        self._token: Token | None = None

    def __str__(self) -> str:
        return self._url

    async def check_health(self) -> None:
        """Raises `BrokerUnreachable` or `BrokerRefused` where it is not well: the CA need not be bothered then."""
        https = Https(self._reactor, self._agent)
        answer = await https.request("GET", self._url + HEALTH_PATH, {}, None, HEALTH_SECONDS)
        if answer.status != NO_CONTENT:
            raise unhealthy(self._url, answer.status, self._retry_after(answer))

    async def register(self, value: str, addresses: Sequence[Multiaddr]) -> None:
        """Have the broker answer `_acme-challenge` of this peer with `value`; returns when it says that it does.

        It connects to one of `addresses` first. Raises `BrokerUnreachable` or `BrokerRefused`.
        """
        answer = await self._authenticated("POST", REGISTER_SECONDS, registration_body(value, addresses))
        if answer.status != OK:
            raise self._refusal(answer)

    async def remove(self) -> bool:
        """Have the broker answer with no value of this peer's any more; whether it is a broker that can.

        Raises `BrokerUnreachable` or `BrokerRefused`.
        """
        answer = await self._authenticated("DELETE", REMOVE_SECONDS)
        if answer.status in UNKNOWN:
            return False
        if answer.status not in (OK, NO_CONTENT):
            raise self._refusal(answer)
        return True

    async def meet(self) -> PeerId:
        """Who the broker is: it has proven that, and has let this peer do so. Nothing is set.

        Raises `BrokerUnreachable` or `BrokerRefused`.
        """
        answer = await self._authenticated("GET", CHALLENGE_SECONDS)
        if self._token is None:
            raise self._refusal(answer)
        return self._token.server

    async def status(self) -> Status | None:
        """What the broker has set for this peer, and what became of its addresses; None: it is one that does not tell.

        Raises `BrokerUnreachable` or `BrokerRefused`.
        """
        try:
            answer = await self._authenticated("GET", STATUS_SECONDS, path=STATUS_PATH)
        except BrokerRefused as error:  # p2p-forge wants no authentication for what it does not know
            if error.status in UNKNOWN:
                return None
            raise
        if answer.status in UNKNOWN:
            return None
        if answer.status != OK:
            raise self._refusal(answer)
        try:
            return read_status(answer.body)
        except InvalidStatus as error:
            raise BrokerRefused(f"the broker {self._url} {error}", E_OTHER, answer.status) from error

    async def _authenticated(
        self, method: str, seconds: float, body: bytes | None = None, path: str = REGISTRATION_PATH
    ) -> Answer:
        """The answer to the real request, which may take so long."""
        url = self._url + path
        challenge = challenge_of(secrets.token_bytes(CHALLENGE_BYTES))
        handshake = ClientHandshake(self._key, hostname_of(url), challenge, self._token)
        https = Https(self._reactor, self._agent)
        while True:
            if handshake.sends_body:
                answer = await https.request(method, url, self._headers(handshake, body), body, seconds)
            else:
                headers = {"Authorization": handshake.authorization}
                answer = await https.request("GET", url, headers, None, CHALLENGE_SECONDS)
            try:
                done = handshake.receive(
                    answer.status,
                    header_values(answer.headers, "WWW-Authenticate"),
                    header_values(answer.headers, "Authentication-Info"),
                )
            except PeerAuthError as error:
                self._token = None
                raise self._unauthenticated(answer, error) from error
            if done:
                self._token = handshake.token
                return answer

    def _headers(self, handshake: ClientHandshake, body: bytes | None) -> dict[str, str]:
        """Of the real request."""
        headers = {"Authorization": handshake.authorization}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._forge_token:
            headers[TOKEN_HEADER] = self._forge_token
        return headers

    def _unauthenticated(self, answer: Answer, error: PeerAuthError) -> Exception:
        """A server that is no broker, or in trouble, says so by its status; one that authenticates wrongly does not."""
        if answer.status not in (OK, 401):
            return self._refusal(answer)
        return BrokerRefused(f"no authentication with the broker {self._url}: {error}", E_NOT_AUTHORIZED, answer.status)

    def _refusal(self, answer: Answer) -> ObtainError:
        return refusal(self._url, answer.status, answer.body, self._retry_after(answer))

    def _retry_after(self, answer: Answer) -> int | None:
        now = datetime.fromtimestamp(self._reactor.seconds(), UTC)
        header, date = (next(iter(header_values(answer.headers, name)), None) for name in ("Retry-After", "Date"))
        seconds = parse_retry_after(header, now, date)
        return None if seconds is None else math.ceil(seconds)
