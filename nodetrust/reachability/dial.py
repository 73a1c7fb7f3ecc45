"""Dialling back: one connection, to see who answers, which is dropped as soon as that is known.

Nothing of the server's host takes part. The key is a throw-away one, so that the dialled peer sees a stranger, as it
will see every browser: neither it nor we can say "connected already", "too many of you" or "that is myself". And the
connection is none of the host's: no protocol of ours is spoken on it, and no muxer is started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, TimeoutError

from nodetrust.libp2p.dialer import Dialer
from nodetrust.libp2p.errors import (
    DialError,
    Libp2pError,
    NoAnswer,
    NoWebSocket,
    PortClosed,
    TlsFailed,
    WrongPeer,
)
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.limits import ConnectionBudget, Limits
from nodetrust.libp2p.noise import NoiseSecurity
from nodetrust.libp2p.tls import TlsSecurity
from nodetrust.libp2p.transports import TcpTransport, WebSocketTransport
from nodetrust.libp2p.transports.sockets import HostReactor
from nodetrust.libp2p.upgrade import MUXERS
from nodetrust.messages import CheckFault
from nodetrust.reachability.decide import Dial
from nodetrust.reachability.outcome import REACHED, Outcome

if TYPE_CHECKING:
    from twisted.internet._sslverify import IOpenSSLTrustRoot  # the name by which Twisted documents it

DIAL_SECONDS = 14.0
"""For one address, and with that for a whole check, which dials all at once. Longer than a TCP connection may take
(`CONNECT_SECONDS`): who lets this pass has accepted the connection, and says too little on it."""

_FAULTS: tuple[tuple[type[Exception], CheckFault], ...] = (
    (NoAnswer, CheckFault.TIMED_OUT),
    (PortClosed, CheckFault.CONNECTION_REFUSED),
    (TlsFailed, CheckFault.TLS_FAILED),
    (NoWebSocket, CheckFault.NO_LIBP2P),
    (WrongPeer, CheckFault.WRONG_PEER),
    (DialError, CheckFault.FAILED),
    (Libp2pError, CheckFault.NO_LIBP2P),
)
"""The first that fits. What is no DialError comes from the negotiation after the WebSocket was open."""


class BackDialer:
    """Dials what was decided, over TCP, WebSocket or WSS.

    `trust_root` judges certificates; without one the platform's roots do.
    """

    def __init__(self, reactor: HostReactor, trust_root: IOpenSSLTrustRoot | None) -> None:
        key = PrivateKey.generate()
        self._reactor = reactor
        self._budget = ConnectionBudget(Limits())
        transports = (TcpTransport(reactor, self._budget), WebSocketTransport(reactor, self._budget, None, trust_root))
        securities = (NoiseSecurity(key, MUXERS), TlsSecurity(key, MUXERS, reactor))
        self._dialer = Dialer(reactor, key.peer_id, transports, securities)

    async def reach(self, dial: Dial) -> Outcome:
        """Whether the peer is met at the address, within DIAL_SECONDS. Cancelling leaves nothing open."""
        dialling = Deferred.fromCoroutine(self._dialer.dial([dial.address], dial.peer))
        try:
            raw, _ = await dialling.addTimeout(DIAL_SECONDS, self._reactor)
        except TimeoutError:
            return Outcome(CheckFault.NO_LIBP2P, f"who accepts connections says too little in {DIAL_SECONDS:g} seconds")
        except DialError as error:
            return _outcome_of(error.cause)
        raw.channel.abortConnection()
        return REACHED

    def when_closed(self) -> Deferred[None]:
        """Fires when no connection is open any more."""
        closed: Deferred[None] = Deferred()
        self._budget.when_empty(lambda: closed.callback(None))
        return closed


def _outcome_of(cause: Exception) -> Outcome:
    fault = next((fault for kind, fault in _FAULTS if isinstance(cause, kind)), CheckFault.FAILED)
    return Outcome(fault, str(cause))
