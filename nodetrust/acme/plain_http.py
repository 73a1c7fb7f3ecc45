"""What is common to HTTP with servers that are not believed: bounded bodies, and nothing that treq does by itself."""

from collections.abc import Callable
from typing import TypeAlias

from OpenSSL import SSL
from twisted.internet import error, ssl
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import RequestTransmissionFailed, ResponseDone, ResponseFailed, ResponseNeverReceived
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

CONNECTION_ERRORS = (
    error.ConnectError,
    error.ConnectingCancelledError,
    error.ConnectionClosed,
    error.DNSLookupError,
    ResponseNeverReceived,
    ResponseFailed,
    RequestTransmissionFailed,
    SSL.Error,
    ssl.VerificationError,
)
"""What an agent fails with where no whole answer came."""

UNTRUSTED = (SSL.Error, ssl.VerificationError)
"""Those of `causes` that mean that TLS was not agreed on."""

_CANCELLED = (CancelledError, error.ConnectingCancelledError)


class BodyTooLong(Exception):
    """A body has more octets than it may; `received` are the first of them, as many as it may have."""

    def __init__(self, received: bytes) -> None:
        super().__init__(f"a body of more than {len(received)} bytes")
        self.received = received


def causes(failed: BaseException) -> list[BaseException]:
    """What is behind one of CONNECTION_ERRORS: Agent makes a list of it. `CancelledError` stands for every form."""
    reasons = [reason.value for reason in getattr(failed, "reasons", ()) if isinstance(reason, Failure)]
    inner = [reason for reason in reasons if reason is not None] or [failed]
    return [CancelledError() if isinstance(one, _CANCELLED) else one for one in inner]


def header_values(headers: Headers, name: str) -> list[str]:
    """All of a name, whatever octets they have: asked for texts, Twisted raises where they are not UTF-8."""
    return [value.decode("latin-1") for value in headers.getRawHeaders(name.encode(), [])]


@implementer(IBodyProducer)
class WholeBody:
    """A request's body, written at once: treq's own producer waits for turns of the global reactor."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def stopProducing(self) -> None:
        """Nothing is left to stop."""

    def pauseProducing(self) -> None:
        """Nothing is left to hold back."""

    def resumeProducing(self) -> None:
        """Nothing is left to send."""


Arrived: TypeAlias = Callable[[IResponse], None]
"""Looks at a response before its body comes, and may change its headers, or raise."""


@implementer(IAgent)
class PlainAgent:
    """Below treq, which on its own accord asks for gzip, and unpacks it: a small body can become a huge one.

    Whatever an agent makes of it when a request is cancelled (while a name is looked up, that there is no such name):
    here it ends in `CancelledError`.
    """

    def __init__(self, agent: IAgent, arrived: Arrived) -> None:
        self._agent = agent
        self._arrived = arrived

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        """IAgent; fails with what `arrived` raises, too."""
        plain = Headers() if headers is None else headers.copy()
        plain.removeHeader("Accept-Encoding")
        asking = self._agent.request(method, uri, plain, bodyProducer)

        def give_up(answered: Deferred[IResponse]) -> None:
            answered.errback(CancelledError())
            asking.cancel()

        def pass_on(outcome: IResponse | Failure) -> None:
            if not answered.called:
                answered.callback(outcome)
            elif not isinstance(outcome, Failure):
                drop_body(outcome)

        answered: Deferred[IResponse] = Deferred(give_up)
        asking.addBoth(pass_on)
        return answered.addCallback(self._looked_at)

    def _looked_at(self, response: IResponse) -> IResponse:
        self._arrived(response)
        return response


def whole_body(response: IResponse, max_bytes: int) -> Deferred[bytes]:
    """The body; fails with `BodyTooLong`, and drops the connection then, as when it is cancelled."""
    body = _BoundedBody(max_bytes)
    response.deliverBody(body)
    return body.done


def drop_body(response: IResponse) -> None:
    """The body is not wanted, nor is the connection."""
    whole_body(response, 0).addErrback(lambda _: b"").cancel()


class _BoundedBody(Protocol):
    def __init__(self, max_bytes: int) -> None:
        self.done: Deferred[bytes] = Deferred(self._give_up)
        self._max_bytes = max_bytes
        self._received = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > self._max_bytes:
            kept = bytes(self._received[: self._max_bytes])
            self._received.clear()
            self._finish(Failure(BodyTooLong(kept)))
            self._drop()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        whole = reason.check(ResponseDone, PotentialDataLoss) is not None
        self._finish(bytes(self._received) if whole else reason)

    def _finish(self, result: bytes | Failure) -> None:
        if not self.done.called:
            self.done.callback(result)

    def _give_up(self, done: Deferred[bytes]) -> None:
        done.errback(CancelledError())
        self._drop()

    def _drop(self) -> None:
        # Agent gives bodies a transport that can be aborted, other IAgents (tests) one that only closes.
        drop = getattr(self.transport, "abortConnection", None) or getattr(self.transport, "loseConnection", None)
        if drop is not None:
            drop()
