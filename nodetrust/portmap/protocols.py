"""What the protocols have in common, and which of them there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from nodetrust.portmap.mapping import Granted, Place, Wanted
from nodetrust.portmap.natpmp import NatPmp
from nodetrust.portmap.pcp import Pcp


class PortProtocol(Protocol):
    """One port at one gateway. Every method raises `PortMapError`, and ends in seconds."""

    name: str

    async def probe(self) -> None:
        """Find out whether the gateway speaks it; nothing is mapped."""

    async def add(self) -> Granted:
        """Map the port, or renew the mapping; after `probe`."""

    async def check(self) -> Granted | None:
        """Whether the mapping is as it was: None if so, else what it is now that the port was mapped again."""

    async def remove(self) -> None:
        """End the mapping, if `add` was ever called."""


PortProtocols: TypeAlias = Callable[[Place, Wanted], list[PortProtocol]]
"""All protocols, the preferred one first."""


def all_protocols(
    reactor: Any, secret: bytes, steady: Callable[[], float], chance: Callable[[], float]
) -> PortProtocols:
    """PCP, which proves by a nonce whose a mapping is; NAT-PMP, two datagrams; UPnP, a dozen requests by HTTP."""

    def make(place: Place, wanted: Wanted) -> list[PortProtocol]:
        # Only here: what UPnP draws in takes a third of a second and ten megabytes.
        from nodetrust.portmap.upnp import Upnp  # noqa: PLC0415

        return [
            Pcp(reactor, place, wanted, secret),
            NatPmp(reactor, place, wanted, steady),
            Upnp(reactor, place, wanted, chance),
        ]

    return make
