"""Where a peer by AutoTLS is, as far as that is known, and whether others reach it there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from nodetrust.addresses import direct_ip, is_public
from nodetrust.client.autotls.places import observed_by, seen_at
from nodetrust.client.diagnosis.autotls_network import ask_peers, meet_peers
from nodetrust.client.diagnosis.outside import (
    DEFAULT_PORT,
    autotls_wss,
    judge_checked,
    judge_unanswered,
    nothing_to_check,
    wss_by_name,
)
from nodetrust.client.diagnosis.peers import judge_dialled, nobody_to_ask
from nodetrust.client.diagnosis.steps import Step
from nodetrust.client.diagnosis.stored import Stored
from nodetrust.client.outside import AskOutside
from nodetrust.client.whereabouts import own_addresses
from nodetrust.errors import NodetrustError
from nodetrust.libp2p.errors import Libp2pError
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import IPAddress, autotls_wildcard, packed_address_from_autotls_label
from nodetrust.reachability.ask import Checked
from nodetrust.settings import HostPort

MAX_DIALLED = 4
"""Addresses that peers are asked to dial, one after the other."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known before anybody is asked."""

    stored: Stored
    domain: str
    wss: tuple[HostPort, ...] = ()
    """Where WSS is to be reached, as the user says; none: where a client with the stored certificate serves it."""
    announce: tuple[Multiaddr, ...] = ()
    """Where else this peer is, as the user says."""
    allow_private: bool = False
    is_made_up: bool = False
    """The peer is: nobody can be there."""

    @property
    def given(self) -> tuple[IPAddress, ...]:
        """The addresses that the user has given."""
        wss = (address_of(place.host) for place in self.wss)
        return tuple(ip for ip in (*wss, *map(direct_ip, self.announce)) if ip is not None)

    def is_certified(self, peer: PeerId) -> bool:
        """Whether there is a certificate for the peer's name in the domain."""
        return self.stored.chain is not None and autotls_wildcard(peer, self.domain) in self.stored.chain.names

    def wss_at(self, ips: Iterable[IPAddress], peer: PeerId) -> list[Multiaddr]:
        """Where WSS is to be looked for, in both forms of an address."""
        if not self.wss:
            return autotls_wss(ips, DEFAULT_PORT, peer, self.domain) if self.is_certified(peer) else []
        found: list[Multiaddr] = []
        for place in self.wss:
            ip = address_of(place.host)
            known = None if ip is None else autotls_wss([ip], place.port, peer, self.domain)
            found += known or [wss_by_name(place.host, place.port, peer)]
        return found


def address_of(host: str) -> IPAddress | None:
    """The IP address that a host is, or that an AutoTLS name spells."""
    packed = packed_address_from_autotls_label(host.partition(".")[0])
    try:
        return ip_address(host if packed is None else packed)
    except ValueError:
        return None


class Outside:
    """Asks for one walk. `servers`: how issue servers are asked, if any is named; `peers` are those for AutoNAT."""

    def __init__(
        self, clock: Any, host: Host, hints: Hints, servers: AskOutside | None, peers: Sequence[Multiaddr]
    ) -> None:
        self._clock = clock
        self._host = host
        self._hints = hints
        self._servers = servers
        self._peers = peers

    async def where(self) -> tuple[tuple[IPAddress, ...], str]:
        """The addresses of the first source that knows some, and which one that is."""
        hints = self._hints
        stored = hints.stored.addresses if hints.is_certified(self._host.peer_id) else ()
        if self._peers:
            await meet_peers(self._host, self._clock, self._peers)
        named = {one.peer_id for one in self._peers if one.peer_id is not None}
        sources: dict[str, Iterable[IPAddress]] = {
            "as you say": hints.given,
            "this machine's own": own_addresses(),
            "as peers see it": seen_at(observed_by(self._host.connections()), named),
            "where it got its certificate": stored,
        }
        for source, ips in sources.items():
            usable = {ip for ip in ips if hints.allow_private or ip in hints.given or is_public(ip)}
            if usable:
                return tuple(sorted(usable, key=str)), source
        return (), ""

    async def ask(self, ips: Sequence[IPAddress]) -> list[Step]:
        """What others find at these addresses, and where else this peer is said to be."""
        hints = self._hints
        if hints.is_made_up:
            found = "nobody can say whether a peer is there whose key is not: give the client's folder with --state"
            return [nothing_to_check(found)]
        wss = hints.wss_at(ips, self._host.peer_id)
        if not wss and not hints.announce:
            return [nothing_to_check(self._why_no_wss(ips))]
        if self._servers is None and not self._peers:
            found = (
                "nobody is there to ask: name an issue server (ISSUER), which dials it back, or peers that speak "
                "AutoNAT with --bootstrap"
            )
            return [nothing_to_check(found)]
        by_servers = await self._ask_servers(wss) if self._servers is not None and wss else []
        return [*by_servers, *(await self._ask_peers(wss) if self._peers else [])]

    def _why_no_wss(self, ips: Sequence[IPAddress]) -> str:
        if not ips:
            return "no public address of this peer is known"
        return "there is no certificate for it: give the place with --wss HOST:PORT if it serves WSS"

    async def _ask_servers(self, wss: Sequence[Multiaddr]) -> list[Step]:
        checked: list[Checked] = []
        failure: Exception | None = None
        try:
            checked = [] if self._servers is None else await self._servers(wss)
        except (NodetrustError, Libp2pError) as error:
            failure = error
        return [*map(judge_checked, checked), *judge_unanswered(wss, checked, failure)]

    async def _ask_peers(self, wss: Sequence[Multiaddr]) -> list[Step]:
        """They dial IP addresses alone: a name could lead anywhere."""
        places = [*(one for one in wss if direct_ip(one) is not None), *self._hints.announce]
        said = await ask_peers(self._host, self._clock, places[:MAX_DIALLED])
        if not said:
            return [nobody_to_ask("none of the peers of --bootstrap can be reached, and speaks it")]
        return [judge_dialled(address, one) for address, one in said.items()]
