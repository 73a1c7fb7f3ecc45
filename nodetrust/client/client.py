"""The client: a libp2p peer that browsers can dial, for a program of one's own and for `twistd nodetrust-client`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from nodetrust.client.announced import name_at
from nodetrust.client.company import Company
from nodetrust.client.errors import AlreadyStarted
from nodetrust.client.newest import Newest
from nodetrust.client.obtain import Obtained
from nodetrust.client.presence import Presence
from nodetrust.client.reaching import Finding
from nodetrust.client.settings import ClientSettings
from nodetrust.discovery import Announced
from nodetrust.files import hold_folder
from nodetrust.libp2p.connection import Stream
from nodetrust.libp2p.errors import ConnectionClosed, DialError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.streams import StreamFactory
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.service import dial_options, listen_all, open_host
from nodetrust.settings import SettingsError, from_values

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
        self._factories: dict[str, StreamFactory] = {}
        self._on_certificate: list[Callable[[Obtained], None]] = []
        self._on_failure: list[Callable[[Exception], None]] = []
        self._on_peer: list[Callable[[Announced], None]] = []
        self._on_peer_gone: list[Callable[[Announced], None]] = []
        self._certificate: Newest[Obtained] = Newest()
        self._announced: Newest[tuple[Multiaddr, ...]] = Newest()
        self._plain_addresses: list[Multiaddr] = []
        self._used = False
        self._presence: Presence | None = None
        self._company: Company | None = None
        self._held: int | None = None

    # For programs: its life.

    def start(self) -> Deferred[None]:
        """Listen, join the announcements, and start to obtain a certificate, which goes on by itself.

        Fails with `SettingsError` or `KeyFileError`; then, too, `stop` is called. Fails with `AlreadyStarted`, and
        changes nothing, where it was called before, or `stop` was.
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
        return None if self._presence is None else self._presence.upkeep.current

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS names of the proven addresses: who dials them comes here, and the certificate is good for them."""
        if self.current is None:
            return ()
        found = (name_at(ip, self.peer_id, self.current.chain.names) for ip in self.current.addresses)
        return tuple(name for name in found if name is not None)

    @property
    def addresses(self) -> tuple[Multiaddr, ...]:
        """The WSS addresses that are announced, with /p2p: those that others reach."""
        return () if self._presence is None else self._presence.reaching.reach.announced

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the last look from outside has found of each of our WSS addresses, and what to do about it."""
        return () if self._presence is None else self._presence.reaching.findings

    @property
    def peers(self) -> list[Announced]:
        """Who is announced now."""
        return [] if self._company is None else self._company.discovery.peers()

    def certificate(self) -> Deferred[Obtained]:
        """The certificate as soon as WSS is served with one, or why the newest try had none.

        After a failure the client goes on trying by itself, and this may be asked again. When the client is stopped,
        who waits gets Twisted's `CancelledError`, here and of `announced`; so does who asks later, if there was none.
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

    def on_peer(self, call: Callable[[Announced], None]) -> Callable[[], None]:
        """Call with each peer that is announced, also when it is at other addresses than before.

        Returns what ends that.
        """
        self._on_peer.append(call)
        for peer in self.peers:
            call(peer)
        return partial(_remove, self._on_peer, call)

    def on_peer_gone(self, call: Callable[[Announced], None]) -> None:
        """Call with each peer that is announced no more."""
        self._on_peer_gone.append(call)

    # Starting and stopping.

    async def _start(self) -> None:
        if self._used:
            raise AlreadyStarted
        self._used = True
        settings = self.settings
        self.host = host = open_host(
            self.reactor, settings, **dial_options(self.reactor, settings.nameserver, settings.trust_file)
        )
        self._hold_state()
        for protocol_id, factory in self._factories.items():
            host.handle(protocol_id, factory)
        listening = await listen_all(host, settings, self.log, "nodetrust-client")
        self._presence = presence = Presence(self.reactor, settings, host, self.certificates, self)
        await presence.listen(listening)
        self._plain_addresses = list(settings.announce) or listening
        host.announce(self._plain_addresses)
        found, gone = partial(self._tell_all, self._on_peer), partial(self._tell_all, self._on_peer_gone)
        self._company = Company(self.reactor, settings, host, found, gone)
        presence.start()

    async def _stop(self) -> None:
        self._used = True
        self._certificate.cancel()
        self._announced.cancel()
        if self._company is not None:
            self._company.stop()
        if self._presence is not None:
            await self._presence.stop()
        if self.host is not None:
            await self.host.stop()
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _hold_state(self) -> None:
        """Two clients with one state would be one peer that is now here and now there."""
        state = self.settings.state
        try:
            self._held = hold_folder(state)
        except BlockingIOError:
            raise SettingsError(
                f"state: expected a folder for this client alone, and another one uses {state}"
            ) from None
        except OSError as error:
            self.log.debug("{state} cannot be held: {reason}", state=str(state), reason=error.strerror)

    # What the presence tells.

    def certified(self, obtained: Obtained) -> None:
        """See `Told`."""
        self._certificate.set(obtained)
        self._tell_all(self._on_certificate, obtained)

    def failed(self, error: Exception) -> None:
        """See `Told`."""
        self._certificate.fail(error)
        self._tell_all(self._on_failure, error)

    def reached(self, addresses: tuple[Multiaddr, ...]) -> None:
        """See `Told`: announce them, on the topic and, where we are there ourselves, to those who ask by identify."""
        host = self._running_host
        host.announce([*self._plain_addresses, *(one for one in addresses if one.peer_id == host.peer_id)])
        if self._company is not None:
            self._company.announce(addresses)
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
        found = [] if self._company is None else self._company.discovery.addresses_of(peer)
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


def _remove(observers: list[Any], call: Any) -> None:
    if call in observers:
        observers.remove(call)
