"""The protocol `/p2p/nodetrust/check/1.0.0`, the server's side: one answer to each stream."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults
from twisted.logger import Logger

from nodetrust.addresses import direct_ip
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import InvalidData
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.message_stream import MessageStream
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.requests import is_gone
from nodetrust.libp2p.transports.sockets import HostReactor
from nodetrust.messages import (
    CHECK_PROTOCOL,
    E_NOT_AUTHORIZED,
    E_OTHER,
    MAX_CHECK_REQUEST_BYTES,
    OK,
    CheckFault,
    CheckRequest,
    CheckResponse,
    InvalidMessage,
    parse,
)
from nodetrust.names import IPAddress
from nodetrust.reachability.bounds import Bounds
from nodetrust.reachability.decide import Asker, Dial, Rules, decide
from nodetrust.reachability.dial import BackDialer
from nodetrust.reachability.errors import Refusal
from nodetrust.reachability.outcome import Outcome

if TYPE_CHECKING:
    from twisted.internet._sslverify import IOpenSSLTrustRoot  # the name by which Twisted documents it

REQUEST_SECONDS = 10.0
"""How long a peer may take to send its request: as go-libp2p's negotiation of a stream."""

Denied = Callable[[PeerId, IPAddress], bool]
"""Whether the operator's lists deny a peer that comes from this address."""


class CheckProtocol:
    """Dials for peers by `rules`; whatever goes wrong is told to the peer with its error number."""

    log = Logger()

    def __init__(
        self, reactor: HostReactor, rules: Rules, denied: Denied, trust_root: IOpenSSLTrustRoot | None = None
    ) -> None:
        self._reactor = reactor
        self._rules = rules
        self._denied = denied
        self._dialer = BackDialer(reactor, trust_root)
        self._bounds = Bounds()
        self._running: set[Deferred[list[Outcome]]] = set()

    def serve(self, host: Host) -> None:
        """Answer the peers of `host`, until it is stopped."""
        host.handle_messages(CHECK_PROTOCOL, self.check, MAX_CHECK_REQUEST_BYTES, REQUEST_SECONDS)

    async def check(self, stream: MessageStream) -> None:
        """Read a `CheckRequest`, and send the `CheckResponse` when all of it is known."""
        peer = stream.connection.remote_peer
        try:
            response = await self._answer(stream)
        except CancelledError:
            return  # the peer is gone, or the server stops
        except Refusal as refusal:
            self.log.debug("checked nothing for {peer}: {reason}", peer=str(peer), reason=str(refusal))
            response = refusal.to_response()
        stream.write(response.SerializeToString())

    async def stop(self) -> None:
        """After the host has stopped: give up what is being dialled; returns when every socket is closed."""
        for running in list(self._running):
            running.cancel()
        await self._dialer.when_closed()

    async def _answer(self, stream: MessageStream) -> CheckResponse:
        try:
            request = parse(CheckRequest, await stream.read())
        except (InvalidData, InvalidMessage) as error:
            raise Refusal(E_OTHER, f"the request cannot be read: {error}") from None
        asker = _asker_of(stream.connection)
        if self._denied(asker.peer, asker.ip):
            raise Refusal(E_NOT_AUTHORIZED, f"{asker.peer} at {asker.ip} is on the denylist of this server")
        decisions = decide(request.addrs, asker, self._rules)
        dials = dict.fromkeys(one for one in decisions if isinstance(one, Dial))
        outcomes = {}
        if dials:
            with self._bounds.room(asker, len(dials), self._reactor.seconds()):
                outcomes = await self._dial(stream, dials)
        known = [outcomes[one] if isinstance(one, Dial) else one for one in decisions]
        faults = ["none" if one.fault is None else CheckFault.Name(one.fault) for one in known]
        self.log.debug("checked for {peer} at {ip}: {faults}", peer=str(asker.peer), ip=str(asker.ip), faults=faults)
        results = [one.to_result(address) for address, one in zip(request.addrs, known, strict=True)]
        return CheckResponse(error=OK, results=results)

    async def _dial(self, stream: MessageStream, dials: Collection[Dial]) -> dict[Dial, Outcome]:
        """All at once; given up when the peer is gone."""
        running = gatherResults(
            [Deferred.fromCoroutine(self._dialer.reach(dial)) for dial in dials], consumeErrors=True
        )
        self._running.add(running)
        watching = Deferred.fromCoroutine(is_gone(stream))
        watching.addCallback(lambda gone: running.cancel() if gone else None)
        try:
            return dict(zip(dials, await running, strict=True))
        except FirstError as first:  # cancelled, or a bug
            first.subFailure.raiseException()
            raise
        finally:
            self._running.discard(running)
            watching.cancel()


def _asker_of(connection: Connection) -> Asker:
    ip = direct_ip(connection.remote_address)
    if ip is None:
        raise Refusal(E_NOT_AUTHORIZED, "the connection does not come straight from an IP address")
    return Asker(connection.remote_peer, ip, direct_ip(connection.local_address))
