"""One question to one DNS server, over UDP or TCP."""

from __future__ import annotations

import errno
from random import SystemRandom
from typing import Any, Literal

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import CannotListenError, ConnectError, ConnectingCancelledError, ConnectionRefusedError
from twisted.internet.protocol import DatagramProtocol, Factory, connectionDone
from twisted.protocols.basic import Int16StringReceiver
from twisted.python.failure import Failure

from nodetrust.client.lookup.errors import InvalidReply, NoReply, NoRoute
from nodetrust.client.lookup.wire import Question, Reply, read_reply, write_query
from nodetrust.settings import HostPort

ANSWER_SECONDS = 4.0
"""For one question, over UDP or TCP."""

RESEND_SECONDS = 1.5
"""Over UDP, where one packet of a few may be lost."""

MAX_DATAGRAM_BYTES = 4096

Over = Literal["UDP", "TCP"]

_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
_REFUSED = "nobody listens there"


async def ask(reactor: Any, server: HostPort, question: Question, over: Over, *, recurse: bool = False) -> Reply:
    """What the server at an IP address and port replies. Raises `NoReply`; cancelling leaves nothing open."""
    exchange = _ask_udp if over == "UDP" else _ask_tcp
    asking = Deferred.fromCoroutine(exchange(reactor, server, question, recurse))
    try:
        return await asking.addTimeout(ANSWER_SECONDS, reactor)
    except TimeoutError:
        raise NoReply(f"no answer within {ANSWER_SECONDS:g} seconds") from None


async def _ask_udp(reactor: Any, server: HostPort, question: Question, recurse: bool) -> Reply:
    query_id = SystemRandom().getrandbits(16)
    query = write_query(question, query_id, recurse=recurse)
    datagrams = _Datagrams(question, query_id)
    here = "::" if ":" in server.host else "0.0.0.0"  # noqa: S104
    try:
        port = reactor.listenUDP(0, datagrams, here, MAX_DATAGRAM_BYTES)
    except CannotListenError as error:  # no such family here, or no descriptor left
        raise _network_error(error.socketError) from error
    again = None
    try:
        port.connect(server.host, server.port)  # so that nobody else's packets come, and ICMP's news does
        port.write(query)
        again = reactor.callLater(RESEND_SECONDS, port.write, query)
        return await datagrams.replied
    except OSError as error:
        raise _network_error(error) from error
    finally:
        if again is not None and again.active():
            again.cancel()
        await maybeDeferred(port.stopListening)


class _Datagrams(DatagramProtocol):
    """Keeps the first datagram that answers; what does not is passed over, for anybody can send it."""

    noisy = False

    def __init__(self, question: Question, query_id: int) -> None:
        self._expected = (question, query_id)
        self.replied: Deferred[Reply] = Deferred()

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if self.replied.called:
            return
        try:
            self.replied.callback(read_reply(datagram, *self._expected))
        except InvalidReply:
            return

    def connectionRefused(self) -> None:
        if not self.replied.called:
            self.replied.errback(NoReply(_REFUSED))

    def stopProtocol(self) -> None:
        self.connectionRefused()  # epoll's way to say it: the error alone ends the socket


async def _ask_tcp(reactor: Any, server: HostPort, question: Question, recurse: bool) -> Reply:
    query_id = SystemRandom().getrandbits(16)
    kind = TCP6ClientEndpoint if ":" in server.host else TCP4ClientEndpoint
    try:
        stream: Any = await kind(reactor, server.host, server.port, ANSWER_SECONDS).connect(_Streams())
    except ConnectionRefusedError:
        raise NoReply(_REFUSED) from None
    except ConnectError as error:
        raise _network_error(error) from error
    except ConnectingCancelledError:
        raise CancelledError from None  # the endpoint's own word for it
    try:
        stream.sendString(write_query(question, query_id, recurse=recurse))
        return read_reply(await stream.received, question, query_id)
    finally:
        stream.transport.abortConnection()


class _Stream(Int16StringReceiver):
    """Keeps the first message; the length in front allows no more than 64 KiB."""

    def __init__(self) -> None:
        self.received: Deferred[bytes] = Deferred()

    def stringReceived(self, string: bytes) -> None:
        if not self.received.called:
            self.received.callback(string)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.received.called:
            self.received.errback(NoReply("it closes the connection without an answer"))


class _Streams(Factory):
    noisy = False

    def buildProtocol(self, addr: object) -> _Stream:
        return _Stream()


def _network_error(error: OSError | ConnectError) -> NoReply:
    number = error.osError if isinstance(error, ConnectError) else error.errno
    if number in _NO_ROUTE:
        return NoRoute("this machine has no route to it")
    return NoReply(getattr(error, "strerror", None) or str(error))
