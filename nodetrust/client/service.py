"""The client on a libp2p host: WSS with the newest certificate, renewed in time, and announced over pubsub."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.certificates import CRYPTO_NAMES, key_to_pem, make_key
from nodetrust.client.announced import wss_addresses
from nodetrust.client.errors import ObtainError
from nodetrust.client.files import load, save
from nodetrust.client.obtain import Obtained, obtain
from nodetrust.client.renewal import seconds_to_renewal, seconds_to_retry
from nodetrust.client.settings import ClientSettings
from nodetrust.discovery import TOPIC, encode_announcement, relay, start_pubsub
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import PubSub
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.service import RoleService, dial_options, listen, listen_all, open_host

RECONNECT_SECONDS = 30.0
"""How often lost connections to the issue server and the bootstrap peers are dialled again."""


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
        self.current: Obtained | None = None
        self.wss_addresses: list[Multiaddr] = []
        self.host: Host | None = None
        self.pubsub: PubSub | None = None
        self._last_error: Exception | None = None
        self._waiting: list[Deferred[Obtained]] = []
        self._plain_addresses: list[Multiaddr] = []
        self._wss_listening: list[Multiaddr] = []
        self._loops: list[LoopingCall] = []
        self._renewing: Deferred[None] | None = None
        self._stopped = False

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
        self._every(RECONNECT_SECONDS, lambda: self._keep_connected(host))
        self._every(settings.announce_seconds, self._announce)
        self._renewing = Deferred.fromCoroutine(self._keep_certified(host))
        self._renewing.addErrback(self._log_bug)

    async def stop(self) -> None:
        """Stop announcing and renewing, and close every connection and listener."""
        self._stopped = True  # cancelling does not reach a renewal that is itself calling us, by way of `certified`
        for loop in self._loops:
            if loop.running:
                loop.stop()
        if self._renewing is not None:
            self._renewing.cancel()
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

    async def _keep_certified(self, host: Host) -> None:
        await self._use_stored(host)
        failures = 0
        while not self._stopped:
            if self.current is not None and failures == 0:
                chain = self.current.chain
                wait = seconds_to_renewal(chain.not_before, chain.not_after, self._now(), random())  # noqa: S311
                await deferLater(self.reactor, wait)
            try:
                await self._renew(host)
                failures = 0
            except (NodetrustError, Libp2pError) as error:
                failures += 1
                wait = seconds_to_retry(failures, random(), error)  # noqa: S311
                self.log.error(
                    "no certificate: {reason}; trying again in {wait} s", reason=str(error), wait=round(wait)
                )
                self._tell(error)
                if not self._stopped:
                    await deferLater(self.reactor, wait)

    async def _use_stored(self, host: Host) -> None:
        try:
            stored = load(self.settings.state)
            if stored is not None and stored.chain.not_after > self._now():
                self._use(host, stored)
        except (ObtainError, Libp2pError) as error:
            self.log.warn("the stored certificate is not used: {reason}", reason=str(error))

    async def _renew(self, host: Host) -> None:
        settings = self.settings
        crypto = CRYPTO_NAMES[settings.crypto]
        key = await deferToThreadPool(self.reactor, self.reactor.getThreadPool(), make_key, crypto)
        obtained = await obtain(
            host,
            settings.issuer,
            key,
            crypto,
            clock=self.reactor,
            names=settings.names,
            progress=lambda step: self.log.info("{step}", step=step),
        )
        await deferToThreadPool(self.reactor, self.reactor.getThreadPool(), save, settings.state, obtained)
        self._use(host, obtained)

    def _use(self, host: Host, obtained: Obtained) -> None:
        """Serve new connections with this certificate, and announce it; open connections keep theirs."""
        chain = obtained.chain
        self.certificates.set(chain.names, key_to_pem(obtained.key), chain.full_pem)
        self.current = obtained
        self.wss_addresses = wss_addresses(
            obtained.addresses, chain.names, host.peer_id, self._wss_listening, self.settings.wss_port or None
        )
        host.announce([*self._plain_addresses, *self.wss_addresses])
        self.log.info(
            "certificate for {names}, good until {until}",
            names=", ".join(sorted(chain.names)),
            until=chain.not_after.isoformat(),
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

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.reactor.seconds(), UTC)
