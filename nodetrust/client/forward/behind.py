"""Which peer is behind us, as it proves itself; and the watch over it.

It is asked as any libp2p peer would be, over its plain listener: negotiation, Noise or TLS, a muxer; then we hang up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.client.forward.connect import connect
from nodetrust.client.forward.errors import NoNode
from nodetrust.client.forward.target import Target
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.noise import NoiseSecurity
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.tls import TlsSecurity
from nodetrust.libp2p.upgrade import MUXERS, upgrade_outbound

CHECK_SECONDS = 30.0
"""A node that was replaced is noticed so soon; it costs the node a handshake, a millisecond or less. Ours."""
RETRY_SECONDS = 5.0
"""While nobody is there. A node that has come back is announced so soon."""
DOUBT_SECONDS = 1.0
"""After a browser has found nobody; not at once, for there may be hundreds of them."""


async def node_peer(reactor: Any, target: Target) -> PeerId:
    """Who proves to be at `target`. Raises `NoNode` where nobody is, or somebody who speaks no libp2p that we do."""
    key = PrivateKey.generate()
    securities = (NoiseSecurity(key, MUXERS), TlsSecurity(key, MUXERS, reactor))
    channel = await connect(reactor, target)
    try:
        upgraded = await upgrade_outbound(channel, securities, None, reactor)
    except Libp2pError as reason:
        raise NoNode(f"no libp2p node is at {target}: {reason}") from reason
    upgraded.secured.channel.loseConnection()
    return upgraded.secured.remote_peer


class NodeBehind:
    """Keeps looking who is there, and calls `on_changed` with the first answer and whenever it is another one.

    None means that nobody is: then nothing may be announced.
    """

    log = Logger()

    def __init__(self, reactor: Any, target: Target, on_changed: Callable[[PeerId | None], None]) -> None:
        self.peer: PeerId | None = None
        self._reactor = reactor
        self._target = target
        self._on_changed = on_changed
        self._told = False
        self._looking: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Look now, and from now on."""
        self._timer = None
        self._looking = Deferred.fromCoroutine(self._look())
        self._looking.addErrback(self._log_bug)

    def doubt(self) -> None:
        """Look soon: somebody has found nobody there."""
        if self._timer is not None and self._timer.getTime() - self._reactor.seconds() > DOUBT_SECONDS:
            self._timer.reset(DOUBT_SECONDS)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        reason = ""
        try:
            found: PeerId | None = await node_peer(self._reactor, self._target)
        except NoNode as error:
            found, reason = None, str(error)
        self._timer = self._reactor.callLater(RETRY_SECONDS if found is None else CHECK_SECONDS, self.start)
        if self._told and found == self.peer:
            return
        self.peer, self._told = found, True
        if found is None:
            self.log.warn("{reason}; nothing is announced until there is one", reason=reason)
        else:
            self.log.info("the node at {target} is {peer}", target=str(self._target), peer=str(found))
        self._on_changed(found)

    def _log_bug(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("the watch over the node behind has failed in a way that is a bug", failure=failure)
