"""The client on a libp2p host: WSS with the newest certificate, renewed in time, and announced over pubsub."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.addresses import direct_ip
from nodetrust.certificates import key_to_pem
from nodetrust.client.announced import reaches, wss_addresses
from nodetrust.client.obtain import Obtained
from nodetrust.client.settings import ClientSettings
from nodetrust.client.upkeep import Upkeep
from nodetrust.discovery import TOPIC, encode_announcement, relay, start_pubsub
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import PubSub
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.service import RoleService, dial_options, listen, listen_all, open_host

RECONNECT_SECONDS = 10.0
"""How often lost connections to the issue server and the bootstrap peers are dialled again.

A client that has moved learns of it from the issue server, over a new connection: yamux gives the old one up within 40
seconds, so that new proofs are asked for within a minute of the move.
"""


class ClientService(RoleService):
    """A libp2p peer that browsers can dial.

    WSS is listened for from the start, so that a port that is taken shows at once; until there is a certificate, no TLS
    handshake succeeds there.
    """

    name = "nodetrust-client"
    log = Logger()

    def __init__(self, reactor: Any, settings: ClientSettings) -> None:
        super().__init__(reactor)
        self.settings = settings
        self.certificates = CertificateStore()
        self.wss_addresses: list[Multiaddr] = []
        self.host: Host | None = None
        self.pubsub: PubSub | None = None
        self._last_error: Exception | None = None
        self._waiting: list[Deferred[Obtained]] = []
        self._plain_addresses: list[Multiaddr] = []
        self._wss_listening: list[Multiaddr] = []
        self._loops: list[LoopingCall] = []
        self._upkeep: Upkeep | None = None
        self._certifying: Deferred[None] | None = None

    @property
    def current(self) -> Obtained | None:
        """The certificate that is served, if there is one yet."""
        return None if self._upkeep is None else self._upkeep.current

    @property
    def certified(self) -> Deferred[Obtained]:
        """A new Deferred: the certificate as soon as WSS is served with one, or why the newest try had none.

        After a failure the client goes on trying by itself, and this may be asked again.
        """
        waiting: Deferred[Obtained] = Deferred(self._waiting.remove)
        if self.current is not None:
            waiting.callback(self.current)
        elif self._last_error is not None:
            waiting.errback(self._last_error)
        else:
            self._waiting.append(waiting)
        return waiting

    async def start(self) -> None:
        """Listen, join the announcements, and start to obtain a certificate (which goes on by itself)."""
        settings = self.settings
        self.host = host = open_host(
            self.reactor, settings, **dial_options(self.reactor, settings.nameserver, settings.trust_file)
        )
        listening = await listen_all(host, settings, self.log, "nodetrust-client")
        for address in settings.wss_listen:
            self._wss_listening.append(await listen(host, address, "wss_listen", self.certificates))
        self._plain_addresses = list(settings.announce) or listening
        host.announce(self._plain_addresses)
        self.pubsub = start_pubsub(host, self.reactor)
        relay(self.pubsub)
        host.on_identified(self._identified)
        self._every(RECONNECT_SECONDS, lambda: self._keep_connected(host))
        self._every(settings.announce_seconds, self._announce)
        self._upkeep = Upkeep(self.reactor, settings, host, partial(self._use, host), self._tell)
        self._certifying = Deferred.fromCoroutine(self._upkeep.run())
        self._certifying.addErrback(self._log_bug)

    async def stop(self) -> None:
        """Stop announcing and renewing, and close every connection and listener."""
        for loop in self._loops:
            if loop.running:
                loop.stop()
        if self._upkeep is not None and self._certifying is not None:
            self._upkeep.stop()
            self._certifying.cancel()
        for waiting in list(self._waiting):
            waiting.cancel()
        if self.pubsub is not None:
            self.pubsub.stop()
        if self.host is not None:
            await self.host.stop()

    def _every(self, seconds: float, action: Callable[[], Deferred[None] | None]) -> None:
        loop = LoopingCall(action)
        loop.clock = self.reactor
        self._loops.append(loop)
        loop.start(seconds).addErrback(self._log_bug)

    def _log_bug(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("the client has failed in a way that is a bug", failure=failure)

    # The peers through whom announcements travel.

    def _keep_connected(self, host: Host) -> Deferred[None]:
        peers: dict[PeerId | None, list[Multiaddr]] = {}
        for address in (*self.settings.issuer, *self.settings.bootstrap):
            peers.setdefault(address.peer_id, []).append(address)
        dials = [Deferred.fromCoroutine(self._connect(host, addresses)) for addresses in peers.values()]
        return gatherResults(dials).addCallback(lambda _: None)

    async def _connect(self, host: Host, addresses: list[Multiaddr]) -> None:
        try:
            await host.connect(addresses)
        except Libp2pError as error:
            self.log.info("{address} cannot be reached: {reason}", address=str(addresses[0]), reason=str(error))

    # The certificate.

    def _identified(self, connection: Connection) -> None:
        """The issue server is there, and says where it sees us: not where our certificate says, if we have moved."""
        if not connection.outbound or connection.remote_peer != self.settings.issuer[0].peer_id or self._upkeep is None:
            return
        self._upkeep.reconnected()
        identify = connection.remote_identify
        ip = None if identify is None or identify.observed_address is None else direct_ip(identify.observed_address)
        if ip is not None and any(reaches(one, ip) for one in self._wss_listening):
            self._upkeep.seen_at(ip)

    def _use(self, host: Host, obtained: Obtained) -> None:
        """Serve new connections with this certificate, and announce it; open connections keep theirs."""
        chain = obtained.chain
        self.certificates.set(chain.names, key_to_pem(obtained.key), chain.full_pem)
        self.wss_addresses = wss_addresses(
            obtained.addresses, chain.names, host.peer_id, self._wss_listening, self.settings.wss_port or None
        )
        host.announce([*self._plain_addresses, *self.wss_addresses])
        self.log.info(
            "certificate for {names}, good until {until}",
            names=", ".join(sorted(chain.names)),
            until=chain.not_after.isoformat(),
        )
        for address in self.wss_addresses:
            self.log.info("WSS at {address}", address=str(address))
        if not self.wss_addresses:
            self.log.warn(
                "nobody can dial WSS: wss_listen has nothing for {proven}",
                proven=", ".join(map(str, obtained.addresses)),
            )
        self._announce()
        self._tell(obtained)

    def _tell(self, outcome: Obtained | Exception) -> None:
        """Tell those who wait for `certified`."""
        self._last_error = outcome if isinstance(outcome, Exception) else None
        waiting, self._waiting[:] = list(self._waiting), []
        for one in waiting:
            if isinstance(outcome, Exception):
                one.errback(outcome)
            else:
                one.callback(outcome)

    def _announce(self) -> None:
        if self.pubsub is not None and self.wss_addresses:
            self.pubsub.publish(TOPIC, encode_announcement(self.wss_addresses))
