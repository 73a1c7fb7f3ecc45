"""From a peer's addresses to one authenticated connection: all addresses are tried, a little apart, the first wins."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from nodetrust.libp2p.errors import DialError, Libp2pError, Timeout
from nodetrust.libp2p.multiaddr import Multiaddr
from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.security import Security
from nodetrust.libp2p.staggered import AllFailed, first_success
from nodetrust.libp2p.transports import RawConnection, Transport, TransportAddress, UnsupportedAddress
from nodetrust.libp2p.upgrade import Upgraded, upgrade_outbound

DIAL_SECONDS = 15.0
"""For one address, from the look-up of its name to the authenticated connection; go-libp2p's dial timeout."""
MAX_ADDRESSES = 32
"""Addresses tried for one peer; an announcement may list more than anybody would want to dial. Ours."""


class Dialer:
    """Dials; it keeps no connections."""

    log = Logger()

    def __init__(
        self, clock: IReactorTime, own_peer: PeerId, transports: Sequence[Transport], securities: Sequence[Security]
    ) -> None:
        self._clock = clock
        self._own_peer = own_peer
        self._transports = transports
        self._securities = securities

    async def dial(self, addresses: Sequence[Multiaddr], expected: PeerId | None) -> tuple[RawConnection, Upgraded]:
        """The first connection to `expected` (to anybody but ourselves, if None) that any of the addresses leads to.

        Raises DialError that names what was wrong with each. Cancelling leaves nothing open.
        """
        ranked = rank(addresses)[:MAX_ADDRESSES]
        if not ranked:
            raise DialError(f"no address to dial {expected or 'a peer'} at")
        attempts = [partial(self._dial_in_time, address, expected) for address in ranked]
        try:
            return await first_success(attempts, self._clock)
        except AllFailed as failed:
            raise DialError(self._explain(ranked, failed.reasons, expected), failed.reasons) from failed

    async def _dial_in_time(self, address: Multiaddr, expected: PeerId | None) -> tuple[RawConnection, Upgraded]:
        dial = Deferred.fromCoroutine(self._dial_one(address, expected))
        dial.addTimeout(DIAL_SECONDS, self._clock, _timed_out)
        return await dial

    async def _dial_one(self, address: Multiaddr, expected: PeerId | None) -> tuple[RawConnection, Upgraded]:
        target = TransportAddress.from_multiaddr(address)
        transport = find_transport(self._transports, target, address)
        raw = await transport.dial(target)
        upgraded = await upgrade_outbound(raw.channel, self._securities, expected, self._clock)
        if upgraded.secured.remote_peer == self._own_peer:
            raw.channel.abortConnection()
            raise DialError("it is our own")
        return raw, upgraded

    def _explain(self, addresses: Sequence[Multiaddr], reasons: Sequence[Exception], expected: PeerId | None) -> str:
        for reason in reasons:
            if not isinstance(reason, Libp2pError):
                self.log.error("Unexpected error while dialing: {reason!r}", reason=reason)
        each = "; ".join(f"{address}: {reason}" for address, reason in zip(addresses, reasons, strict=True))
        return f"could not reach {expected or 'the peer'} ({each})"


def find_transport(transports: Sequence[Transport], target: TransportAddress, address: Multiaddr) -> Transport:
    """The transport for an address; raises UnsupportedAddress if none is installed."""
    for transport in transports:
        if transport.supports(target):
            return transport
    raise UnsupportedAddress(f"no transport for {address}")


def rank(addresses: Sequence[Multiaddr]) -> list[Multiaddr]:
    """Each address once: public ones and names first, then private ones, loopback last; else as given."""
    once = dict.fromkeys(addresses)
    return sorted(once, key=_remoteness) if len(once) > 1 else list(once)


def _remoteness(address: Multiaddr) -> int:
    first = address.components[0] if address.components else None
    if first is None or first.name not in {"ip4", "ip6"}:
        return 0
    host = ip_address(first.value or "")
    return 0 if host.is_global else 2 if host.is_loopback else 1


def _timed_out(_: object, seconds: float) -> object:
    raise Timeout(f"not reached within {seconds:g} seconds")
