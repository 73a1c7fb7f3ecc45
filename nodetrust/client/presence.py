"""From a certificate to addresses that others reach: keeps the one, and says the other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.addresses import direct_ip, is_public
from nodetrust.certificates import key_to_pem
from nodetrust.client.autotls.places import observed_by, seen_at
from nodetrust.client.by_issuer import by_issuers
from nodetrust.client.edge import Edge
from nodetrust.client.hook import Hook
from nodetrust.client.issuers import Issuers
from nodetrust.client.obtain import Obtained
from nodetrust.client.outside import AskOutside, ask_outside, look_from_outside
from nodetrust.client.reaching import Reaching
from nodetrust.client.settings import ClientSettings
from nodetrust.client.upkeep import Upkeep
from nodetrust.client.ways import Way
from nodetrust.client.whereabouts import Whereabouts
from nodetrust.libp2p.autonat import AutoNat
from nodetrust.libp2p.connection import Connection
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.transports import CertificateStore

if TYPE_CHECKING:
    from nodetrust.client.autotls.way import ByBroker

LOOK_SECONDS = 60.0
"""How often it is looked whether the certificate that is served has ended, for the clock may be set: then its addresses
are announced no more."""

SOON_SECONDS = 0.01
"""A clock that counts since 1970 in a float knows no less."""


class Told(Protocol):
    """Whoever wants to know."""

    def certified(self, obtained: Obtained) -> None:
        """This certificate is served from now on."""

    def failed(self, error: Exception) -> None:
        """There was no certificate this time."""

    def reached(self, addresses: tuple[Multiaddr, ...]) -> None:
        """Others reach these addresses, with /p2p, and no others of ours."""


class Presence:
    """What a client is to the world: its listeners for browsers, the certificate, and where both can be found.

    `listen` binds the ports, `start` begins to look after the certificate, and `stop` ends both.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, settings: ClientSettings, host: Host, certificates: CertificateStore, told: Told
    ) -> None:
        # `SteadyTime` brings it; a reactor of a program's own may go by the time of day.
        steady = getattr(reactor, "monotonic", time.monotonic)
        self._reactor = reactor
        self._settings = settings
        self._host = host
        self._certificates = certificates
        self._told = told
        self._listening: Sequence[Multiaddr] = ()
        self._brokers: Sequence[ByBroker] = ()
        self.edge = edge = Edge(reactor, settings, host, certificates, self._edge_changed)
        ask = None
        if settings.self_check and settings.issuer:
            ask = ask_outside(reactor, host, Issuers(settings.issuer, steady))
        look = None if ask is None else look_from_outside(ask, lambda: edge.router)
        self.reaching = Reaching(reactor, SystemRandom(), look, told.reached)
        self.upkeep = Upkeep(reactor, settings, self._ways(ask), self._use, self._failed, steady=steady)
        self._hook = Hook(reactor, settings.hook)
        self._whereabouts = Whereabouts(reactor, self._stirred)
        self._certifying: Deferred[None] | None = None
        self._considering: IDelayedCall | None = None

    async def listen(self, listening: Sequence[Multiaddr]) -> None:
        """Bind the ports for WSS; `listening` are those for plain libp2p, at which a broker may dial us.

        Raises `SettingsError`.
        """
        self._listening = listening
        await self.edge.listen(listening if self._settings.brokers else ())

    def start(self) -> None:
        """Use the certificate of an earlier run, and look after the next one."""
        self._host.on_identified(self._identified)
        self._whereabouts.start()
        self._keep_considering()
        self._certifying = Deferred.fromCoroutine(self.upkeep.run())
        self._certifying.addErrback(self._log_bug)

    async def stop(self) -> None:
        """Look after nothing any more, take mappings back, and close what is not the host's."""
        self.upkeep.stop()
        if self._certifying is not None:
            self._certifying.cancel()
        if self._considering is not None:
            self._considering.cancel()
            self._considering = None
        for part in (self._hook, self._whereabouts, self.reaching):
            part.stop()
        await gatherResults(map(Deferred.fromCoroutine, [self.edge.stop(), self._end_orders()]))

    async def _end_orders(self) -> None:
        """What was cancelled takes a moment to end; then brokers take back what they have set for it."""
        if self._certifying is not None:
            await self._certifying
        await gatherResults([Deferred.fromCoroutine(broker.stop()) for broker in self._brokers])

    def _log_bug(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("the client has failed in a way that is a bug", failure=failure)

    # The ways to a certificate.

    def _ways(self, ask: AskOutside | None) -> list[Way]:
        """The preferred ones first."""
        settings = self._settings
        servers: list[Way] = [*by_issuers(self._reactor, self._host, settings.issuer, settings.names)]
        if not settings.brokers:
            return servers
        # Who has no broker does not wait for the import of all that speaks HTTP.
        from nodetrust.client.autotls.build import by_brokers  # noqa: PLC0415
        from nodetrust.client.autotls.reachable import check_by_peers, check_from_outside  # noqa: PLC0415

        autonat = AutoNat(self._host, self._reactor, SystemRandom())
        autonat.start()
        check = check_by_peers(self._reactor, autonat, wait=bool(settings.bootstrap))
        if ask is not None:
            check = check_from_outside(ask, self.edge.doors, otherwise=check)
        self._brokers = by_brokers(self._reactor, settings, self._host, self._places, check)
        return [*servers, *self._brokers] if settings.prefer == "issuer" else [*self._brokers, *servers]

    def _places(self) -> list[Multiaddr]:
        """Where a broker may find us."""
        contacts = (*self._settings.issuer, *self._settings.bootstrap)
        named = {one.peer_id for one in contacts if one.peer_id is not None}
        return self.edge.places(self._listening, seen_at(observed_by(self._host.connections()), named))

    # What makes us look where we are.

    def _identified(self, connection: Connection) -> None:
        """An issue server is there, and says where it sees us: not where our certificate says, if we have moved."""
        issuers = {address.peer_id for address in self._settings.issuer}
        if not connection.outbound or connection.remote_peer not in issuers:
            return
        self.upkeep.reconnected()
        identify = connection.remote_identify
        ip = None if identify is None or identify.observed_address is None else direct_ip(identify.observed_address)
        if ip is not None and self.edge.takes(ip):
            self.edge.seen_at(ip)
            self.upkeep.seen_at(ip)

    def _stirred(self) -> None:
        """This machine's own addresses have changed."""
        self.edge.look_at_router()
        self.upkeep.stirred()
        self.reaching.look_again()

    def _edge_changed(self) -> None:
        """The router or the node behind us: others dial another port or meet another peer, or the same again."""
        self._consider()
        router = self.edge.router
        if router.ip is not None and is_public(router.ip):
            self.upkeep.seen_at(router.ip)
        self.reaching.look_again()

    # The certificate, and the addresses that it makes.

    def _use(self, obtained: Obtained) -> None:
        """Serve new connections with this certificate; open connections keep theirs."""
        chain = obtained.chain
        self._certificates.set(chain.names, key_to_pem(obtained.key), chain.full_pem)
        self.log.info(
            "certificate for {names}, good until {until}",
            names=", ".join(sorted(chain.names)),
            until=chain.not_after.isoformat(),
        )
        if self._seconds_left(obtained) <= 0:  # one that had ended would not have come so far
            self.log.warn(
                "by the clock of this machine that has ended already, so nothing is announced: set the clock, which "
                "is ahead"
            )
        if not any(map(self.edge.takes, obtained.addresses)):
            self.log.warn(
                "nobody can dial WSS: wss_listen has nothing for {proven}",
                proven=", ".join(map(str, obtained.addresses)),
            )
        self._consider()
        if not obtained.from_cache:
            self._hook.run(self._facts(obtained))
        self._told.certified(obtained)

    def _failed(self, error: Exception) -> None:
        self._consider()
        self._told.failed(error)

    def _facts(self, obtained: Obtained) -> dict[str, str]:
        """What the hook is told."""
        return {
            "NODETRUST_FOLDER": str(self._settings.state.absolute()),
            "NODETRUST_NAMES": " ".join(sorted(obtained.chain.names)),
            "NODETRUST_ADDRESSES": " ".join(map(str, obtained.addresses)),
        }

    def _consider(self) -> None:
        """Have the addresses looked at that we have now; none, once the certificate has ended.

        A machine that has moved, and gets no certificate for where it is, leaves its old addresses to whoever has them.
        """
        current = self.upkeep.current
        if current is not None:
            ended = self._seconds_left(current) <= 0
            here = replace(current, addresses=self.upkeep.addresses)
            self.reaching.consider([] if ended else self.edge.candidates(here))

    def _keep_considering(self) -> None:
        """Every minute, and at the moment at which the certificate ends."""
        self._consider()
        left = LOOK_SECONDS if self.upkeep.current is None else self._seconds_left(self.upkeep.current)
        wait = min(LOOK_SECONDS, max(SOON_SECONDS, left)) if left > 0 else LOOK_SECONDS
        self._considering = self._reactor.callLater(wait, self._keep_considering)

    def _seconds_left(self, obtained: Obtained) -> float:
        return obtained.chain.not_after.timestamp() - float(self._reactor.seconds())
