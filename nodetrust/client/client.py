"""The client: a libp2p peer that browsers can dial, for a program of one's own and for `twistd nodetrust-client`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from random import SystemRandom
from typing import Any, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.addresses import direct_ip, is_public
from nodetrust.certificates import key_to_pem
from nodetrust.client.autotls.places import observed_by, seen_at
from nodetrust.client.by_issuer import by_issuers
from nodetrust.client.contacts import Contacts
from nodetrust.client.edge import Edge
from nodetrust.client.hook import Hook
from nodetrust.client.issuers import Issuers
from nodetrust.client.newest import Newest
from nodetrust.client.obtain import Obtained
from nodetrust.client.outside import AskOutside, ask_outside, look_from_outside
from nodetrust.client.reaching import Finding, Reaching
from nodetrust.client.settings import ClientSettings
from nodetrust.client.upkeep import Upkeep
from nodetrust.client.ways import Way
from nodetrust.client.whereabouts import Whereabouts
from nodetrust.discovery import Announced, Announcer, Discovery, Neighbours, SequenceNumbers, Wanted, start_pubsub
from nodetrust.discovery.sequence import SEQUENCE_FILE
from nodetrust.libp2p.autonat import AutoNat
from nodetrust.libp2p.connection import Connection, Stream
from nodetrust.libp2p.errors import ConnectionClosed, DialError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub import PubSub
from nodetrust.libp2p.streams import StreamFactory
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.service import dial_options, listen_all, open_host
from nodetrust.settings import from_values

LOOK_SECONDS = 60.0
"""How often it is looked whether the certificate that is served has ended, for the clock may be set: then its addresses
are announced no more."""

SOON_SECONDS = 0.01
"""A clock that counts since 1970 in a float knows no less."""

Where: TypeAlias = PeerId | Multiaddr | str | Sequence[Multiaddr]
"""Whom to dial: a peer that is announced or connected, or at addresses with /p2p."""


class Client:
    """Obtains a certificate for the addresses that it proves, serves WSS with it, renews it, and announces itself.

        client = Client(issuer="/dns4/issue.nt.example.org/tcp/8959/p2p/12D3KooW…", state="/var/lib/my-app/nodetrust")
        client.handle("/my/protocol/1.0.0", MyFactory())
        client.on_peer(lambda peer: print(peer.announcement.peer))
        await client.start()
        await client.certificate()

    The settings are those of `twistd nodetrust-client`, by keyword and as text or values, or a `ClientSettings` that is
    made already. What is handled and watched may be said before `start` and after it. The Deferreds are awaited in a
    coroutine of Twisted's, or, `deferred.asFuture(loop)`, in one of asyncio's. A client is used up after `stop`.

    WSS is listened for from the start, so that a port that is taken shows at once; until there is a certificate, no TLS
    handshake succeeds there.
    """

    log = Logger()

    def __init__(self, reactor: Any = None, settings: ClientSettings | None = None, **values: Any) -> None:
        """Raises `SettingsError`. Without `reactor` it is Twisted's global one."""
        if reactor is None:
            from twisted.internet import reactor  # noqa: PLC0415  # importing it installs it
        self.reactor = reactor
        self.settings = from_values(ClientSettings, values) if settings is None else settings
        self.certificates = CertificateStore()
        """For Twisted's own TLS listeners, too: an `IOpenSSLServerConnectionCreator`, which always has the newest."""
        self.host: Host | None = None
        self.pubsub: PubSub | None = None
        self.discovery: Discovery | None = None
        self._factories: dict[str, StreamFactory] = {}
        self._on_certificate: list[Callable[[Obtained], None]] = []
        self._on_failure: list[Callable[[Exception], None]] = []
        self._on_peer: list[Callable[[Announced], None]] = []
        self._on_peer_gone: list[Callable[[Announced], None]] = []
        self._certificate: Newest[Obtained] = Newest()
        self._announced: Newest[tuple[Multiaddr, ...]] = Newest()
        self._listening: list[Multiaddr] = []
        self._plain_addresses: list[Multiaddr] = []
        self._edge: Edge | None = None
        self._parts: list[Any] = []
        self._upkeep: Upkeep | None = None
        self._reaching: Reaching | None = None
        self._announcer: Announcer | None = None
        self._hook = Hook(reactor, self.settings.hook)
        self._certifying: Deferred[None] | None = None
        self._considering: IDelayedCall | None = None

    # For programs: its life.

    def start(self) -> Deferred[None]:
        """Listen, join the announcements, and start to obtain a certificate, which goes on by itself.

        Fails with `SettingsError` or `KeyFileError`; then, too, `stop` is called.
        """
        return Deferred.fromCoroutine(self._start())

    def stop(self) -> Deferred[None]:
        """Stop announcing and renewing, and close every connection and listener; fires when all is closed."""
        return Deferred.fromCoroutine(self._stop())

    # For programs: what it has.

    @property
    def peer_id(self) -> PeerId:
        """Who we are, once it has started."""
        return self._running_host.peer_id

    @property
    def current(self) -> Obtained | None:
        """The certificate that is served, if there is one yet."""
        return None if self._upkeep is None else self._upkeep.current

    @property
    def addresses(self) -> tuple[Multiaddr, ...]:
        """The WSS addresses that are announced, with /p2p: those that others reach."""
        return () if self._reaching is None else self._reaching.reach.announced

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the last look from outside has found of each of our WSS addresses, and what to do about it."""
        return () if self._reaching is None else self._reaching.findings

    @property
    def peers(self) -> list[Announced]:
        """Who is announced now."""
        return [] if self.discovery is None else self.discovery.peers()

    def certificate(self) -> Deferred[Obtained]:
        """The certificate as soon as WSS is served with one, or why the newest try had none.

        After a failure the client goes on trying by itself, and this may be asked again.
        """
        return self._certificate.get()

    def announced(self) -> Deferred[tuple[Multiaddr, ...]]:
        """`addresses`, as soon as there are any."""
        return self._announced.get()

    # For programs: what it is told, and whom it dials.

    def handle(self, protocol_id: str, factory: StreamFactory) -> None:
        """Give the streams that others open for a protocol to a Twisted factory; see `Host.handle`."""
        self._factories[protocol_id] = factory
        if self.host is not None:
            self.host.handle(protocol_id, factory)

    def dial(self, where: Where, protocol_ids: str | Sequence[str]) -> Deferred[Stream]:
        """A stream to a peer, of the first of the protocols that it speaks: attach a Twisted protocol to it.

        Fails with a `Libp2pError`.
        """
        protocols = [protocol_ids] if isinstance(protocol_ids, str) else list(protocol_ids)
        return Deferred.fromCoroutine(self._dial(where, protocols))

    def on_certificate(self, call: Callable[[Obtained], None]) -> None:
        """Call with each certificate that is served from now on, and the one that is served now."""
        self._on_certificate.append(call)
        if self.current is not None:
            call(self.current)

    def on_failure(self, call: Callable[[Exception], None]) -> None:
        """Call with the reason whenever a try to get a certificate has failed; the next try comes by itself."""
        self._on_failure.append(call)

    def on_peer(self, call: Callable[[Announced], None]) -> None:
        """Call with each peer that is announced, also when it is at other addresses than before."""
        self._on_peer.append(call)
        for peer in self.peers:
            call(peer)

    def on_peer_gone(self, call: Callable[[Announced], None]) -> None:
        """Call with each peer that is announced no more."""
        self._on_peer_gone.append(call)

    # Starting and stopping.

    async def _start(self) -> None:
        settings = self.settings
        self.host = host = open_host(
            self.reactor, settings, **dial_options(self.reactor, settings.nameserver, settings.trust_file)
        )
        for protocol_id, factory in self._factories.items():
            host.handle(protocol_id, factory)
        listening = await listen_all(host, settings, self.log, "nodetrust-client")
        self._edge = edge = Edge(self.reactor, settings, host, self.certificates, self._edge_changed)
        await edge.listen(listening if settings.brokers else ())
        self._listening = listening
        self._plain_addresses = list(settings.announce) or listening
        host.announce(self._plain_addresses)
        self._join(host)
        self._look_after_certificate(host, edge)

    def _join(self, host: Host) -> None:
        """Pubsub: hear who is announced, announce ourselves, and keep several ways for both."""
        settings, random = self.settings, SystemRandom()
        self.pubsub = pubsub = start_pubsub(host, self.reactor, SequenceNumbers(settings.state / SEQUENCE_FILE))
        wanted = Wanted(frozenset(settings.zones) or None, settings.allow_private)
        self.discovery = discovery = Discovery(pubsub, self.reactor, wanted)
        for observe in (discovery.on_found, discovery.on_changed):
            observe(partial(self._tell_all, self._on_peer))
        discovery.on_gone(partial(self._tell_all, self._on_peer_gone))
        self._announcer = Announcer(pubsub, self.reactor, random, settings.announce_seconds)
        contacts = Contacts(self.reactor, host, (*settings.issuer, *settings.bootstrap))
        neighbours = Neighbours(host, pubsub, discovery, self.reactor, random)
        for part in (discovery, self._announcer, contacts, neighbours):
            self._parts.append(part)
            part.start()

    def _look_after_certificate(self, host: Host, edge: Edge) -> None:
        # `SteadyTime` brings it; a reactor of a program's own may go by the time of day.
        steady = getattr(self.reactor, "monotonic", time.monotonic)
        issuers = Issuers(self.settings.issuer, steady)
        ask = ask_outside(self.reactor, host, issuers) if self.settings.self_check and self.settings.issuer else None
        look = None if ask is None else look_from_outside(ask, lambda: edge.router)
        self._reaching = Reaching(self.reactor, SystemRandom(), look, self._announce)
        ways = self._ways(host, edge, ask)
        self._upkeep = upkeep = Upkeep(self.reactor, self.settings, ways, self._use, self._failed, steady=steady)
        host.on_identified(self._identified)
        whereabouts = Whereabouts(self.reactor, self._stirred)
        self._parts += [self._reaching, whereabouts, self._hook]
        whereabouts.start()
        self._keep_considering()
        self._certifying = Deferred.fromCoroutine(upkeep.run())
        self._certifying.addErrback(self._log_bug)

    def _ways(self, host: Host, edge: Edge, ask: AskOutside | None) -> list[Way]:
        """The ways to a certificate, the preferred ones first."""
        settings = self.settings
        servers: list[Way] = [*by_issuers(self.reactor, host, settings.issuer, settings.names)]
        if not settings.brokers:
            return servers
        # Who has no broker does not wait for the import of all that speaks HTTP.
        from nodetrust.client.autotls.build import by_brokers  # noqa: PLC0415
        from nodetrust.client.autotls.reachable import check_by_peers, check_from_outside  # noqa: PLC0415

        if ask is not None:
            check = check_from_outside(ask, edge.doors)
        else:
            autonat = AutoNat(host, self.reactor, SystemRandom())
            autonat.start()
            check = check_by_peers(self.reactor, autonat, wait=bool(settings.bootstrap))
        brokers: list[Way] = [*by_brokers(self.reactor, settings, host, partial(self._places, host, edge), check)]
        return [*servers, *brokers] if settings.prefer == "issuer" else [*brokers, *servers]

    def _places(self, host: Host, edge: Edge) -> list[Multiaddr]:
        """Where a broker may find us."""
        contacts = (*self.settings.issuer, *self.settings.bootstrap)
        named = {one.peer_id for one in contacts if one.peer_id is not None}
        return edge.places(self._listening, seen_at(observed_by(host.connections()), named))

    async def _stop(self) -> None:
        if self._upkeep is not None and self._certifying is not None:
            self._upkeep.stop()
            self._certifying.cancel()
        if self._considering is not None:
            self._considering.cancel()
            self._considering = None
        while self._parts:
            self._parts.pop().stop()
        self._certificate.cancel()
        self._announced.cancel()
        if self._edge is not None:
            await self._edge.stop()
        if self.pubsub is not None:
            self.pubsub.stop()
        if self.host is not None:
            await self.host.stop()

    def _log_bug(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("the client has failed in a way that is a bug", failure=failure)

    # The certificate, and the addresses that it makes.

    def _identified(self, connection: Connection) -> None:
        """An issue server is there, and says where it sees us: not where our certificate says, if we have moved."""
        issuers = {address.peer_id for address in self.settings.issuer}
        if not connection.outbound or connection.remote_peer not in issuers or self._upkeep is None:
            return
        self._upkeep.reconnected()
        identify = connection.remote_identify
        ip = None if identify is None or identify.observed_address is None else direct_ip(identify.observed_address)
        if ip is not None and self._edge is not None and self._edge.takes(ip):
            self._upkeep.seen_at(ip)

    def _stirred(self) -> None:
        """This machine's own addresses have changed."""
        if self._edge is not None and self._upkeep is not None and self._reaching is not None:
            self._edge.look_at_router()
            self._upkeep.stirred()
            self._reaching.look_again()

    def _edge_changed(self) -> None:
        """The router or the node behind us: others dial another port or meet another peer, or the same again."""
        self._consider()
        if self._edge is None or self._upkeep is None or self._reaching is None:
            return
        router = self._edge.router
        if router.ip is not None and is_public(router.ip):
            self._upkeep.seen_at(router.ip)
        self._reaching.look_again()

    def _use(self, obtained: Obtained) -> None:
        """Serve new connections with this certificate; open connections keep theirs."""
        chain = obtained.chain
        self.certificates.set(chain.names, key_to_pem(obtained.key), chain.full_pem)
        self.log.info(
            "certificate for {names}, good until {until}",
            names=", ".join(sorted(chain.names)),
            until=chain.not_after.isoformat(),
        )
        if self._edge is not None and not any(map(self._edge.takes, obtained.addresses)):
            self.log.warn(
                "nobody can dial WSS: wss_listen has nothing for {proven}",
                proven=", ".join(map(str, obtained.addresses)),
            )
        self._consider()
        if not obtained.from_cache:
            self._hook.run(self._facts(obtained))
        self._certificate.set(obtained)
        self._tell_all(self._on_certificate, obtained)

    def _failed(self, error: Exception) -> None:
        self._certificate.fail(error)
        self._tell_all(self._on_failure, error)

    def _facts(self, obtained: Obtained) -> dict[str, str]:
        """What the hook is told."""
        return {
            "NODETRUST_FOLDER": str(self.settings.state),
            "NODETRUST_NAMES": " ".join(sorted(obtained.chain.names)),
            "NODETRUST_ADDRESSES": " ".join(map(str, obtained.addresses)),
        }

    def _consider(self) -> None:
        """Have the addresses looked at that we have now; none, once the certificate has ended."""
        if self._reaching is None or self._edge is None or self.current is None:
            return
        ended = self._seconds_left(self.current) <= 0
        self._reaching.consider([] if ended else self._edge.candidates(self.current))

    def _keep_considering(self) -> None:
        """Every minute, and at the moment at which the certificate ends."""
        self._consider()
        left = LOOK_SECONDS if self.current is None else self._seconds_left(self.current)
        wait = min(LOOK_SECONDS, max(SOON_SECONDS, left)) if left > 0 else LOOK_SECONDS
        self._considering = self.reactor.callLater(wait, self._keep_considering)

    def _seconds_left(self, obtained: Obtained) -> float:
        return obtained.chain.not_after.timestamp() - float(self.reactor.seconds())

    def _announce(self, addresses: tuple[Multiaddr, ...]) -> None:
        """On the topic, and to those who ask us by identify where we are ourselves."""
        host = self._running_host
        peer = addresses[0].peer_id if addresses else None
        host.announce([*self._plain_addresses, *(addresses if peer == host.peer_id else ())])
        if self._announcer is not None:
            self._announcer.set_addresses(addresses, peer)
        if addresses:
            self._announced.set(addresses)
        else:
            self._announced.clear()

    # Others.

    @property
    def _running_host(self) -> Host:
        if self.host is None:
            raise ConnectionClosed("this client has not been started")
        return self.host

    async def _dial(self, where: Where, protocols: list[str]) -> Stream:
        host = self._running_host
        if isinstance(where, str):
            where = Multiaddr.parse(where) if where.startswith("/") else PeerId.parse(where)
        if isinstance(where, PeerId):
            where = self._places_of(where)
        connection = await host.connect([where] if isinstance(where, Multiaddr) else where)
        return await connection.open_stream(protocols)

    def _places_of(self, peer: PeerId) -> list[Multiaddr]:
        """Where it is announced; where it is connected already, the address of the connection does as well."""
        found = [a for one in self.peers if one.announcement.peer == peer for a in one.announcement.addresses]
        connected = [one.remote_address.with_peer_id(peer) for one in self._running_host.connections(peer)]
        if not found and not connected:
            raise DialError(f"{peer} is neither announced nor connected")
        return [*connected, *found]

    def _tell_all(self, observers: Sequence[Callable[[Any], None]], news: Any) -> None:
        for observer in list(observers):
            try:
                observer(news)
            except Exception:
                self.log.failure("who watches this client has failed")
