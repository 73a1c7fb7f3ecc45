"""The client on a libp2p host: WSS with the newest certificate, renewed in time, and announced over pubsub."""

from __future__ import annotations

from datetime import UTC, datetime
from random import random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from nodetrust.certificates import CRYPTO_NAMES, InvalidCertificate, key_to_pem, make_key
from nodetrust.client.errors import ObtainError, Refused
from nodetrust.client.files import load, save
from nodetrust.client.obtain import Obtained, obtain
from nodetrust.client.renewal import seconds_to_renewal, seconds_to_retry
from nodetrust.client.settings import ClientSettings
from nodetrust.discovery import TOPIC, encode_announcement, relay, start_pubsub
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import PubSub
from nodetrust.libp2p.transports.certificates import CertificateStore
from nodetrust.names import IPAddress, label_for_address, label_for_peer
from nodetrust.service import RoleService, dial_options, listen_all, open_host

RECONNECT_SECONDS = 30.0
"""How often lost connections to the issue server and the bootstrap peers are dialled again."""


class ClientService(RoleService):
    """A libp2p peer that browsers can dial.

    `certified` fires with the `Obtained` when WSS is served for the first time, or fails with the `ObtainError` of
    the first try, after which the client goes on trying.
    """

    log = Logger()

    def __init__(self, reactor: Any, settings: ClientSettings) -> None:
        super().__init__(reactor)
        self.setName("nodetrust-client")
        self.settings = settings
        self.certificates = CertificateStore()
        self.certified: Deferred[Obtained] = Deferred()
        self.current: Obtained | None = None
        self.wss_addresses: list[Multiaddr] = []
        self.host: Host | None = None
        self.pubsub: PubSub | None = None
        self._plain_addresses: list[Multiaddr] = []
        self._wss_ports: set[int] = set()
        self._loops: list[LoopingCall] = []
        self._renewing: Deferred[None] | None = None
        self._stopped = False

    async def start(self) -> None:
        """Listen for libp2p, join the announcements, and start to obtain a certificate (which goes on by itself)."""
        settings = self.settings
        self.host = host = open_host(
            self.reactor, settings, **dial_options(self.reactor, settings.nameserver, settings.trust_file)
        )
        self.pubsub = pubsub = start_pubsub(host, self.reactor)
        relay(pubsub)
        listening = await listen_all(host, settings, self.log, "nodetrust-client")
        self._plain_addresses = list(settings.announce) or listening
        self._every(RECONNECT_SECONDS, lambda: Deferred.fromCoroutine(self._keep_connected(host)))
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
        if self.pubsub is not None:
            self.pubsub.stop()
        if self.host is not None:
            await self.host.stop()

    def _every(self, seconds: float, action: Any) -> None:
        loop = LoopingCall(action)
        loop.clock = self.reactor
        self._loops.append(loop)
        loop.start(seconds).addErrback(self._log_bug)

    def _log_bug(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            self.log.failure("the client has failed in a way that is a bug", failure=failure)

    async def _keep_connected(self, host: Host) -> None:
        for address in (*self.settings.issuer[:1], *self.settings.bootstrap):
            try:
                await host.connect([address], address.peer_id)
            except Libp2pError as error:
                self.log.info("{address} cannot be reached: {reason}", address=str(address), reason=str(error))

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
            except ObtainError as error:
                failures += 1
                if not self.certified.called:
                    self.certified.errback(error)
                asked = error.retry_after_seconds if isinstance(error, Refused) else None
                wait = seconds_to_retry(failures, random(), asked)  # noqa: S311
                self.log.error(
                    "no certificate: {reason}; trying again in {wait} s", reason=str(error), wait=round(wait)
                )
                await deferLater(self.reactor, wait)

    async def _use_stored(self, host: Host) -> None:
        try:
            stored = load(self.settings.state)
        except (ObtainError, InvalidCertificate) as error:
            self.log.warn("the stored certificate is not used: {reason}", reason=str(error))
            return
        if stored is not None and stored.chain.not_after > self._now():
            await self._use(host, stored)

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
        await self._use(host, obtained)

    async def _use(self, host: Host, obtained: Obtained) -> None:
        """Serve new connections with this certificate; open ones keep theirs."""
        chain = obtained.chain
        self.certificates.set(chain.names, key_to_pem(obtained.key), chain.full_pem)
        first = self.current is None
        self.current = obtained
        if first:
            for address in self.settings.wss_listen:
                listening = await host.listen(address, tls=self.certificates)
                self._wss_ports.add(int(listening.get("tcp") or 0))
        self.wss_addresses = self._certified_addresses(host, obtained)
        host.announce([*self._plain_addresses, *self.wss_addresses])
        self.log.info(
            "certificate for {names}, good until {until}",
            names=", ".join(sorted(chain.names)),
            until=chain.not_after.isoformat(),
        )
        self._announce()
        if not self.certified.called:
            self.certified.callback(obtained)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.reactor.seconds(), UTC)

    # The announcement.

    def _certified_addresses(self, host: Host, obtained: Obtained) -> list[Multiaddr]:
        """Where WSS can be dialled: under each certified name that spells a proven address."""
        ports = {self.settings.wss_port} if self.settings.wss_port else self._wss_ports
        names = obtained.chain.names
        addresses = []
        for ip in obtained.addresses:
            name = _certified_name(ip, host.peer_id, names)
            if name is not None:
                addresses += [Multiaddr.parse(f"/dns{ip.version}/{name}/tcp/{port}/tls/ws") for port in sorted(ports)]
        return [address.with_peer_id(host.peer_id) for address in addresses]

    def _announce(self) -> None:
        if self.pubsub is not None and self.wss_addresses:
            self.pubsub.publish(TOPIC, encode_announcement(self.wss_addresses))


def _certified_name(ip: IPAddress, peer: PeerId, names: frozenset[str]) -> str | None:
    """The address's own name if the certificate has it, else its name below the peer's, if that has a wildcard."""
    label = label_for_address(ip)
    for name in sorted(names, reverse=True):  # exact names before the wildcard
        first, _, rest = name.partition(".")
        if first == label:
            return name
        if first == "*" and rest.startswith(f"{label_for_peer(peer)}."):
            return f"{label}.{rest}"
    return None
