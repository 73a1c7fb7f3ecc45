"""Notices that this machine's own addresses have changed, with no word from anybody.

The kernel says which address it would send from. The places asked for are those that are set aside for documentation,
so that the answer is that of the default route.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from nodetrust.libp2p.transports.source import source_address
from nodetrust.names import IPAddress

LOOK_SECONDS = 10.0

FAR_AWAY = ("192.0.2.1", "2001:db8::1")
"""RFC 5737 and RFC 3849."""


def own_addresses() -> frozenset[IPAddress]:
    """The address that this machine sends from to the rest of the world, one of each family at most."""
    return frozenset(found for place in FAR_AWAY if (found := source_address(place)) is not None)


class Whereabouts:
    """Looks now and again, and calls `stirred` when the addresses are others than at the last look."""

    def __init__(
        self,
        clock: IReactorTime,
        stirred: Callable[[], None],
        look: Callable[[], frozenset[IPAddress]] = own_addresses,
    ) -> None:
        self._stirred = stirred
        self._look = look
        self._known: frozenset[IPAddress] | None = None
        self._loop = LoopingCall(self._compare)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin; what is found first is no change."""
        self._loop.start(LOOK_SECONDS)

    def stop(self) -> None:
        """Look no more."""
        if self._loop.running:
            self._loop.stop()

    def _compare(self) -> None:
        before, self._known = self._known, self._look()
        # A machine that is offline will come back, perhaps to where it was.
        if before is not None and self._known and self._known != before:
            self._stirred()
        elif not self._known:
            self._known = before
