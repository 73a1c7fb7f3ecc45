"""The way to a certificate by AutoTLS: this peer orders it itself, and a broker answers the CA's challenge."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from twisted.logger import Logger

from nodetrust.acme import Dns01Record, RenewalWindow, replaces
from nodetrust.certificates import CertificateKey, Chain, make_csr
from nodetrust.client.autotls.authority import Authority
from nodetrust.client.autotls.broker import Broker
from nodetrust.client.autotls.errors import BrokerRefused, NoPlaces
from nodetrust.client.autotls.places import ips_of
from nodetrust.client.autotls.removal import Removal
from nodetrust.client.autotls.visible import Awaited, wait_until_visible
from nodetrust.client.errors import OtherZone
from nodetrust.client.obtain import Obtained
from nodetrust.client.ways import Claim
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.names import autotls_wildcard
from nodetrust.settings import HostPort

Places = Callable[[], Sequence[Multiaddr]]
"""Where this peer can be dialled over plain TCP or WS, as far as it knows."""

Check = Callable[[Sequence[Multiaddr]], Awaitable[None]]
"""Raises `NotReachable` where it is known that nobody can dial this peer at these."""


class ByBroker:
    """One broker. The certificate is for everything below the peer's name, wherever the peer is."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        peer: PeerId,
        domain: str,
        broker: Broker,
        authority: Authority,
        *,
        places: Places,
        check: Check,
        resolvers: Callable[[], Sequence[HostPort]],
    ) -> None:
        self._reactor = reactor
        self._domain = domain
        self._name = autotls_wildcard(peer, domain)
        self._broker = broker
        self._authority = authority
        self._removal = Removal(reactor, broker)
        self._is_set = False
        """Whether the broker may answer with a value of this peer's."""
        self._places = places
        self._check = check
        self._resolvers = resolvers
        self._answer: tuple[bytes, float, int | None] | None = None
        """Of the CA about a certificate: what to say of it until when."""

    def __str__(self) -> str:
        return str(self._broker)

    async def claim(self, *, anew: bool = False) -> Claim:
        """What this peer believes; the broker finds out whether it is so."""
        places = tuple(self._places())
        if not places:
            raise NoPlaces(
                "no public address of this peer is known, at which the broker could connect to it: give --announce, "
                "for it is neither this machine's own, nor the router's, nor do other peers tell it"
            )
        return Claim(ips_of(places), frozenset([self._name]), partial(self._order, places))

    async def _order(
        self, places: Sequence[Multiaddr], key: CertificateKey, crypto: int, current: Obtained | None
    ) -> Obtained:
        await self._broker.check_health()
        await self._check(places)
        names = [self._name]
        before = current if current is not None and self._is_ours(current) else None
        replaced = None if before is None else replaces(before.chain.leaf_pem, self._now())
        issued = await self._authority.obtain(
            names, make_csr(key, names), partial(self._publish, places), self._withdraw, replaced
        )
        return Obtained(Chain.from_pem(issued.chain_pem), key, ips_of(places), from_cache=False)

    async def _publish(self, places: Sequence[Multiaddr], records: Sequence[Dns01Record]) -> None:
        for record in records:  # there is one
            await self._removal.over()
            self.log.info("{broker} is to connect to {places}", broker=self, places=", ".join(map(str, places)))
            await self._register(record.value, places)
            self.log.info("{broker} has done so; waiting for {name}", broker=self, name=record.record_name)
            awaited = Awaited(record.record_name, record.value, self._domain)
            await wait_until_visible(self._reactor, self._resolvers(), awaited)

    async def _register(self, value: str, places: Sequence[Multiaddr]) -> None:
        self._is_set = True
        try:
            await self._broker.register(value, places)
        except BrokerRefused:
            self._is_set = False
            raise

    async def _withdraw(self, records: Sequence[Dns01Record]) -> None:
        """The CA has looked, or will not: the order goes on, or ends, while the broker forgets the value."""
        if self._is_set:
            self._is_set = False
            self._removal.begin()

    async def stop(self) -> None:
        """After the last order; returns when the broker has forgotten its value, or a little later."""
        await self._removal.stop()

    async def renew_at(self, current: Obtained, *, is_newest: bool = True) -> int | None:
        """The CA's word; it is asked no more often than it likes."""
        if not self._is_ours(current):
            raise OtherZone(f"the certificate is not for {self._name}")
        leaf, now = current.chain.leaf_pem, self._reactor.seconds()
        if self._answer is None or self._answer[0] != leaf or self._answer[1] <= now:
            info = await self._authority.renewal(leaf)
            if info is None:
                return None
            self._answer = leaf, now + info.retry_after_seconds, moment_in(info.window, leaf)
        return self._answer[2]

    def _is_ours(self, current: Obtained) -> bool:
        return current.chain.names == {self._name}

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._reactor.seconds(), UTC)


def moment_in(window: RenewalWindow, certificate_pem: bytes) -> int:
    """One moment of the window, in milliseconds since the epoch: the same for each certificate, another for others.

    RFC 9773 §4.2 wants a random one, and a client that asks again shall not move it.
    """
    chance = int.from_bytes(hashlib.sha256(certificate_pem).digest()[:4], "big") / 2**32
    return int((window.start + (window.end - window.start) * chance).timestamp() * 1000)
