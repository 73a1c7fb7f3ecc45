"""The issue server's own name in service: ports first, then the certificate, then a new one in time."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Request

from nodetrust.certificates import key_to_pem
from nodetrust.challenges.servers import DnsServers
from nodetrust.discovery import TOPIC
from nodetrust.issue.orders import Orders
from nodetrust.issue.own.health import Health
from nodetrust.issue.own.orders import OwnOrders
from nodetrust.issue.own.pages import BOUNDS, BodilessRequest, Pages
from nodetrust.issue.settings import IssueSettings
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.own.files import OwnCertificate
from nodetrust.own.names import is_covered
from nodetrust.own.upkeep import OwnUpkeep, Self
from nodetrust.page import About, PageFiles, PageResource
from nodetrust.service import listen
from nodetrust.store import Store
from nodetrust.web.hosts import ByHost, VirtualHost
from nodetrust.web.listener import Bounds, Guarded, WebListener, site_for


class OwnService:
    """Only for settings with `certificate_names`. `virtual_host` has further pages for the HTTPS listener.

    `listen` is called first, `begin` once orders can be made, `stop` at the end. Until there is a certificate no TLS
    handshake succeeds.
    """

    log = Logger()

    def __init__(self, reactor: Any, settings: IssueSettings, host: Host, virtual_host: VirtualHost | None) -> None:
        """Raises `SettingsError`."""
        self.certificates = CertificateStore()
        self.wss_listening: list[Multiaddr] = []
        self.https: list[WebListener] = []
        self.current: OwnCertificate | None = None
        """The certificate that is served, if there is one yet."""
        self.certified: Deferred[OwnCertificate] = Deferred()
        """Fires once there is a certificate; its failures are in the log alone, for it is tried again."""
        self.names = settings.certificate_names
        self._reactor = reactor
        self._settings = settings
        self._host = host
        self._virtual_host = virtual_host
        self._wss_addresses: list[Multiaddr] = []
        self._health: Health | None = None
        self._running: Deferred[None] | None = None

    async def listen(self) -> None:
        """Bind the ports. Raises `SettingsError`."""
        settings = self._settings
        self._plain_addresses = list(settings.announce) or self._host.addresses()
        for address in settings.wss_listen:
            self.wss_listening.append(await listen(self._host, address, "wss_listen", self.certificates))
        if settings.https_listen:
            pages, request, bounds = self._web()
            for place in settings.https_listen:
                guarded = Guarded(self._reactor, site_for(self._reactor, pages, request), bounds, self.certificates)
                self.https.append(WebListener(self._reactor, "https_listen", place, guarded))
        names = ", ".join(self.names)
        for one in self.https:
            self.log.info("nodetrust-issue answers HTTPS on {place} for {names}", place=str(one.place), names=names)
        self._host.announce(self._plain_addresses)

    def _web(self) -> tuple[IResource, type[Request], Bounds]:
        """What the HTTPS listener answers, and within which bounds."""
        page = Pages(PageResource(PageFiles.load(), self._about), self._report)
        host = self._virtual_host
        if host is None:
            return page, BodilessRequest, BOUNDS
        return ByHost(page, host), host.request, host.bounds

    def begin(self, orders: Orders, store: Store, dns: DnsServers) -> None:
        """Serve with the stored certificate, and look after the next."""
        who = Self("the issue server's own", self.names, self._settings.state)
        self._health = Health(self._reactor, store, dns, orders.tools.authorities)
        source = OwnOrders(self._host.peer_id, store, orders.fulfil)
        upkeep = OwnUpkeep(self._reactor, who, source, self._use)
        upkeep.use_stored()
        self._running = Deferred.fromCoroutine(upkeep.run()).addErrback(self._log_bug)

    async def stop(self) -> None:
        """Order nothing any more, and close what `listen` opened but the host's listeners."""
        if self._running is not None:
            self._running.cancel()
        while self.https:
            await self.https.pop().stop()

    def _use(self, own: OwnCertificate) -> None:
        """For new connections, and tell peers where browsers can dial; open connections keep theirs."""
        self.certificates.set(own.chain.names, key_to_pem(own.key), own.chain.full_pem)
        self.current = own
        self._wss_addresses = self._wss(own)
        self._host.announce([*self._plain_addresses, *self._wss_addresses])
        if not self.certified.called:
            self.certified.callback(own)

    def _wss(self, own: OwnCertificate) -> list[Multiaddr]:
        """Where browsers can dial: each name, at each port that WSS is served on."""
        ports = sorted({str(address.get("tcp")) for address in self.wss_listening})
        wanted = sorted({name.lower() for name in self._settings.own_names if not name.startswith("*.")})
        names = [name for name in wanted if is_covered(name, own.chain.names)]
        return [Multiaddr.parse(f"/dns/{name}/tcp/{port}/tls/ws") for name in names for port in ports]

    def _about(self) -> About:
        peer = self._host.peer_id
        every, wss = (
            tuple(str(address.with_peer_id(peer)) for address in addresses)
            for addresses in (self._host.addresses(), self._wss_addresses)
        )
        return About(zone=self._settings.zone, peer=str(peer), addresses=every, issuer=wss, topic=TOPIC)

    async def _report(self) -> dict[str, Any]:
        if self._health is None:
            return {"ok": False}
        return await self._health.report(None if self.current is None else self.current.chain)

    def _log_bug(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("the own certificate is not looked after any more, which is a bug", failure=failure)
