"""The broker's HTTP interface, as p2p-forge's and a little more."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import NOT_DONE_YET, Request

from nodetrust.addresses import normalise
from nodetrust.broker.broker import SERVER_ERROR, Broker
from nodetrust.broker.decide import Rules, Visit, check_token
from nodetrust.broker.errors import Refusal
from nodetrust.broker.metrics import BrokerCounters
from nodetrust.broker.sources import client_first
from nodetrust.broker.wire import BAD_REQUEST, CHALLENGE_PATH, MAX_BODY_BYTES, refusal_json, refusal_text
from nodetrust.libp2p.limits import Limits
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.peer_auth import (
    CHALLENGE_BYTES,
    Refused,
    ServerRules,
    Unauthenticated,
    authenticate,
    challenge_of,
)
from nodetrust.web.leaf import Leaf
from nodetrust.web.listener import Bounds

BOUNDS = Bounds(Limits(handshakes=512, connections_per_network=24), connection_seconds=90.0)
"""A registration may take three quarters of a minute; a household may have a few nodes."""

PROXY_BOUNDS = Bounds(Limits(handshakes=1024, connections_per_network=1024), connection_seconds=3600.0)
"""Whoever has a proxy in front has its connections in front, and a proxy keeps its own open."""

HEALTH_PATH = b"/v1/health"
STATUS_PATH = b"/v1/status"

MAX_DISCARDED_BYTES = 8 * MAX_BODY_BYTES
"""Of a body that is too large so much is read, so that its sender hears why; then the connection is dropped."""

HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "WWW-Authenticate, Authentication-Info, Retry-After",
    "Cache-Control": "no-store",
    "Server": "nodetrust",
    "X-Content-Type-Options": "nosniff",
}

PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Accept, Forge-Authorization",
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Max-Age": "86400",
}

OK, NO_CONTENT, UNAUTHORIZED, NOT_FOUND, NOT_ALLOWED, TOO_LARGE, UNAVAILABLE = 200, 204, 401, 404, 405, 413, 503


class BoundedRequest(Request):
    """A request of whose body one byte more is kept than may be."""

    def gotLength(self, length: int | None) -> None:
        self.content: BytesIO = BytesIO()
        self._discarded_bytes = 0

    def handleContentChunk(self, data: bytes) -> None:
        kept = data[: MAX_BODY_BYTES + 1 - self.content.tell()]
        self.content.write(kept)
        self._discarded_bytes += len(data) - len(kept)
        if self._discarded_bytes > MAX_DISCARDED_BYTES and self.channel is not None:
            self.channel.forceAbortClient()


Deed = Callable[[], Awaitable[dict[str, Any] | None]]
"""What a request asks for; what it returns is told as JSON, None with an empty body."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who counts as whom."""

    auth: ServerRules
    proxies: Sequence[IPv4Network | IPv6Network]
    """Whose `X-Forwarded-For` counts."""
    rules: Callable[[], Rules]


class BrokerPages(Leaf):
    """All paths; before `serve`, each has 503."""

    log = Logger()

    def __init__(self, reactor: Any, counters: BrokerCounters) -> None:
        self._reactor = reactor
        self._counters = counters
        self._access: Access
        self._broker: Broker | None = None
        self._running: set[Deferred[None]] = set()

    def serve(self, access: Access, broker: Broker) -> None:
        """Answer from now on."""
        self._access = access
        self._broker = broker

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        request.notifyFinish().addCallbacks(lambda _: self._counters.answered(request.code), lambda _: None)
        if request.path == CHALLENGE_PATH:
            self._measure(request)
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        if request.isSecure():
            request.setHeader("Strict-Transport-Security", "max-age=31536000")
        if request.path == HEALTH_PATH:
            return _empty(request, NO_CONTENT)
        if _is_preflight(request):
            for name, value in PREFLIGHT_HEADERS.items():
                request.setHeader(name, value)
            return _empty(request, NO_CONTENT)
        try:
            return self._answer(request)
        except Refusal as refusal:
            return self._refuse(request, refusal)

    def _measure(self, request: Request) -> None:
        begun = self._reactor.seconds()
        self._counters.challenge_asked()

        def answered(_: None) -> None:
            method = request.method.decode("latin-1")
            self._counters.challenge_answered(method, request.code, self._reactor.seconds() - begun)

        finished = request.notifyFinish().addCallbacks(answered, lambda _: None)
        finished.addCallback(lambda _: self._counters.challenge_over())

    def _answer(self, request: Request) -> bytes | int:
        if request.path not in (CHALLENGE_PATH, STATUS_PATH):
            raise Refusal(NOT_FOUND, "404 page not found")
        if self._broker is None:
            raise Refusal(UNAVAILABLE, "503 Service Unavailable: the broker starts.", retry_after_seconds=1)
        peer = self._authenticated(request)
        if peer is None:
            return _empty(request, UNAUTHORIZED)
        running = Deferred.fromCoroutine(self._do(request, self._deed(request, peer, self._broker)))
        self._running.add(running)
        running.addBoth(lambda _: self._running.discard(running))
        request.notifyFinish().addErrback(lambda _: running.cancel())
        return NOT_DONE_YET

    async def idle(self) -> None:
        """After the listeners have stopped, which gives up what is being done; returns when that is taken back."""
        await DeferredList(list(self._running))

    def _authenticated(self, request: Request) -> PeerId | None:
        """Who it is, and the header that tells him; None where the header has a challenge instead."""
        given = _values(request, "Authorization")
        if len(given) > 1:
            raise Refusal(BAD_REQUEST, "")
        hosts = _values(request, "Host")
        if len(hosts) != 1:
            raise Refusal(BAD_REQUEST, "")
        challenge = challenge_of(os.urandom(CHALLENGE_BYTES))
        authorization = given[0] if given else None
        verdict = authenticate(self._access.auth, authorization, hosts[0], self._reactor.seconds(), challenge)
        if isinstance(verdict, Refused):
            self.log.debug("a request is refused: {reason}", reason=verdict.reason)
            raise Refusal(BAD_REQUEST, "")
        if isinstance(verdict, Unauthenticated):
            request.setHeader("WWW-Authenticate", verdict.header)
            return None
        if verdict.header is not None:
            request.setHeader("Authentication-Info", verdict.header)
        return verdict.peer

    def _deed(self, request: Request, peer: PeerId, broker: Broker) -> Deed:
        """What the request asks for. Raises `Refusal`."""
        if request.path == STATUS_PATH:
            if request.method != b"GET":
                raise Refusal(NOT_ALLOWED, "405 Method Not Allowed: Only GET method is allowed.")
            return lambda: broker.status(peer)
        if request.method not in (b"POST", b"DELETE"):
            raise Refusal(BAD_REQUEST, "400 Bad Request: Only POST method is allowed.")
        check_token(self._access.rules(), _value(request, "Forge-Authorization"))
        if request.method == b"DELETE":
            return lambda: broker.remove(peer)
        content: Any = request.content
        body: bytes = content.getvalue()
        if len(body) > MAX_BODY_BYTES:
            raise Refusal(TOO_LARGE, f"413 Request Entity Too Large: at most {MAX_BODY_BYTES} bytes.")
        visit = Visit(peer, self._sources(request), _value(request, "User-Agent") or "")
        return lambda: broker.register(visit, body)

    def _sources(self, request: Request) -> tuple[Any, ...]:
        remote: Any = request.getClientAddress()
        ip = normalise(ip_address(remote.host.partition("%")[0]))
        return client_first(ip, _values(request, "X-Forwarded-For"), self._access.proxies)

    async def _do(self, request: Request, deed: Deed) -> None:
        try:
            answer = await deed()
        except CancelledError:
            return  # the client is gone, or the broker stops
        except Refusal as refusal:
            self.log.debug("a registration is refused: {reason}", reason=str(refusal))
            body = self._refuse(request, refusal)
        except Exception:
            self.log.failure("a request has failed, which is a bug", failure=Failure())
            body = self._refuse(request, Refusal(SERVER_ERROR, "500 Internal Server Error"))
        else:
            body = _empty(request, OK) if answer is None else _json(request, OK, answer)
        if not request.finished and not request._disconnected:
            request.write(body)
            request.finish()

    def _refuse(self, request: Request, refusal: Refusal) -> bytes:
        if refusal.retry_after is not None:
            request.setHeader("Retry-After", str(refusal.retry_after))
        if "application/json" in (_value(request, "Accept") or ""):
            return _json(request, refusal.status, {"error": refusal_json(refusal)})
        if not str(refusal):
            return _empty(request, refusal.status)
        return _body(request, refusal.status, "text/plain; charset=utf-8", refusal_text(refusal))


def _is_preflight(request: Request) -> bool:
    """What a browser asks before it sends a page's request. js-libp2p begins its handshake with OPTIONS as well."""
    return (
        request.method == b"OPTIONS"
        and _value(request, "Access-Control-Request-Method") is not None
        and _value(request, "Authorization") is None
    )


def _value(request: Request, name: str) -> str | None:
    """The last one of a header."""
    return next(reversed(_values(request, name)), None)


def _values(request: Request, name: str) -> list[str]:
    """Those of a header, whatever octets they have: asked for a text, Twisted raises where they are not UTF-8."""
    return [value.decode("latin-1") for value in request.requestHeaders.getRawHeaders(name.encode(), [])]


def _empty(request: Request, status: int) -> bytes:
    request.setResponseCode(status)
    if status != NO_CONTENT:
        request.setHeader("Content-Length", "0")
    return b""


def _json(request: Request, status: int, content: dict[str, Any]) -> bytes:
    return _body(request, status, "application/json", json.dumps(content) + "\n")


def _body(request: Request, status: int, kind: str, text: str) -> bytes:
    body = text.encode()
    request.setResponseCode(status)
    request.setHeader("Content-Type", kind)
    request.setHeader("Content-Length", str(len(body)))
    return body if request.method != b"HEAD" else b""
