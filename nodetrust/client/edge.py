"""Where browsers come in: the WSS listeners, who is behind them, and under which ports others dial them."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from nodetrust.client.announced import reaches, wss_addresses
from nodetrust.client.autotls.places import places
from nodetrust.client.forward import Forwarder, NodeBehind
from nodetrust.client.obtain import Obtained
from nodetrust.client.outside import Router
from nodetrust.client.settings import ClientSettings
from nodetrust.client.whereabouts import own_addresses
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.transports import CertificateStore
from nodetrust.names import IPAddress
from nodetrust.portmap import Mapping, PortMapper
from nodetrust.service import connection_limits
from nodetrust.settings import SettingsError

FORWARDING_DESCRIPTORS = 3
"""A browser and its connection to the node take a file descriptor each; so many others may be connected to the host."""


class Edge:
    """The listeners of one client. `changed` is called when others would dial another port or meet another peer.

    Behind them is the host itself or, with the setting `forward`, a node whose bytes pass through.
    """

    def __init__(
        self,
        reactor: Any,
        settings: ClientSettings,
        host: Host,
        certificates: CertificateStore,
        changed: Callable[[], None],
    ) -> None:
        self.listening: list[Multiaddr] = []
        self._settings = settings
        self._host = host
        self._certificates = certificates
        self._changed = changed
        self._mapper = PortMapper(reactor, secret=_secret_of(host)) if settings.map_ports else None
        self._mapped: dict[int, Mapping] = {}
        self._forwarder: Forwarder | None = None
        self._behind: NodeBehind | None = None
        if settings.forward is not None:
            self._behind = NodeBehind(reactor, settings.forward, lambda peer: changed())
            limits = connection_limits(settings.max_connections, FORWARDING_DESCRIPTORS)
            self._forwarder = Forwarder(reactor, settings.forward, limits=limits, on_unreachable=self._behind.doubt)

    @property
    def peer(self) -> PeerId | None:
        """Whom a browser meets; None while the node behind is not there."""
        return self._host.peer_id if self._behind is None else self._behind.peer

    @property
    def router(self) -> Router:
        """What is known of the router."""
        external = next((mapping.external_address for mapping in self._mapped.values()), None)
        no_address = self._mapper is not None and self._mapper.no_public_address
        return Router(bool(self._mapped), external, no_address)

    async def listen(self, plain: Sequence[Multiaddr] = ()) -> None:
        """Bind the ports, and have them mapped; those of `plain`, too, at which others dial the host without TLS.

        Raises `SettingsError`.
        """
        for address in self._settings.wss_listen:
            self.listening.append(await self._listen(address))
        if self._behind is not None:
            self._behind.start()
        if self._mapper is None:
            return
        for port in sorted(_ports(self.listening)):
            wanted = self._settings.wss_port or port
            self._mapper.map(port, partial(self._map, port), external_port=wanted)
        for port in sorted(_ports(plain) - _ports(self.listening)):
            self._mapper.map(port, partial(self._map, port), external_port=port)

    async def _listen(self, address: Multiaddr) -> Multiaddr:
        opener = self._host if self._forwarder is None else self._forwarder
        try:
            return await opener.listen(address, self._certificates)
        except Libp2pError as error:
            raise SettingsError(
                f"wss_listen: expected an address that can be listened on, got {address}: {error}"
            ) from error

    def _map(self, port: int, mapping: Mapping | None) -> None:
        if mapping is None:
            self._mapped.pop(port, None)
        else:
            self._mapped[port] = mapping
        self._changed()

    def look_at_router(self) -> None:
        """This machine is somewhere else, perhaps behind another router."""
        if self._mapper is not None:
            self._mapper.look()

    def seen_at(self, ip: IPAddress) -> None:
        """Others see us there: a router that had another address when it was last asked may have lost its mappings."""
        if ip.version == 4 and self.router.ip not in (None, ip):
            self.look_at_router()

    def takes(self, ip: IPAddress) -> bool:
        """Whether a connection to this address can arrive at a listener."""
        return any(reaches(one, ip) for one in self.listening)

    def candidates(self, obtained: Obtained) -> list[Multiaddr]:
        """The addresses under which browsers should find us with this certificate; none while nobody is behind."""
        peer = self.peer
        if peer is None:
            return []
        names = obtained.chain.names
        return wss_addresses(
            obtained.addresses, names, self._host.peer_id, self.listening, self._port_outside, peer=peer
        )

    def doors(self, ips: Sequence[IPAddress]) -> list[Multiaddr]:
        """Where the listeners are dialled at these addresses, whether or not there is a certificate."""
        return [
            Multiaddr.parse(f"/ip{ip.version}/{ip}/tcp/{self._port_outside(ip, port)}/tls/ws").with_peer_id(peer)
            for ip in ips
            for port in sorted({int(one.get("tcp") or 0) for one in self.listening if reaches(one, ip)})
            if (peer := self.peer) is not None
        ]

    def places(self, plain: Sequence[Multiaddr], seen_at: Iterable[IPAddress] = ()) -> list[Multiaddr]:
        """Where the host, which listens at `plain`, is dialled without TLS.

        At this machine's own public addresses, at the router's, where others see us, and what the user announces.
        """
        router = self.router.ip
        ips = {*own_addresses(), *seen_at, *([] if router is None else [router])}
        return places(
            (*self._settings.announce, *plain),
            sorted(ips, key=str),
            lambda ip, port: self.mapped_port(ip, port) or port,
            allow_private=self._settings.allow_private,
        )

    def _port_outside(self, ip: IPAddress, port: int) -> int:
        return self.mapped_port(ip, port) or self._settings.wss_port or port

    def mapped_port(self, ip: IPAddress, port: int) -> int | None:
        """Under which a port is dialled by the router's word, which is for the address that it has itself, and IPv4."""
        mapping = self._mapped.get(port)
        if ip.version == 4 and mapping is not None and mapping.external_address in (None, ip):
            return mapping.external_port
        return None

    async def stop(self) -> None:
        """Take the mappings back, and close what is not the host's: browsers do not wait for a router."""
        if self._behind is not None:
            self._behind.stop()
        parts = [part.stop() for part in (self._mapper, self._forwarder) if part is not None]
        await gatherResults(map(Deferred.fromCoroutine, parts))


def _ports(listening: Sequence[Multiaddr]) -> set[int]:
    """Those that a router can forward to us."""
    return {int(one.get("tcp") or 0) for one in listening if reaches_ipv4(one)}


def reaches_ipv4(listening: Multiaddr) -> bool:
    """Whether IPv4 connections arrive there from another machine: then a router can forward a port to it."""
    return listening.get("ip6") == "::" or (
        listening.has("ip4") and not (listening.get("ip4") or "").startswith("127.")
    )


def _secret_of(host: Host) -> bytes:
    """Known to this peer alone and the same in each of its lives: a router knows us again after a crash."""
    return hmac.digest(host.key.to_protobuf(), b"nodetrust port mapping", "sha256")
