"""`PortMapper`: the mapped ports of a process."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address
from random import SystemRandom
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from nodetrust.portmap.keeper import Keeper
from nodetrust.portmap.mapping import WANTED_LIFETIME_SECONDS, Mapping, Wanted
from nodetrust.portmap.plan import CHECK_SECONDS
from nodetrust.portmap.protocols import all_protocols
from nodetrust.portmap.routes import find_place


class PortMapper:
    """Maps TCP ports of this machine on its router, from `map` until `stop`.

    `secret` is 16 octets or more that stay the same after a restart, so that a gateway with PCP knows us again; without
    one, what a crash left keeps the port for an hour. `gateway` takes the place of the default route's.
    `lifetime_seconds` and `check_seconds` are for tests that cannot wait.
    """

    def __init__(
        self,
        reactor: Any,
        *,
        secret: bytes | None = None,
        gateway: IPv4Address | None = None,
        lifetime_seconds: int = WANTED_LIFETIME_SECONDS,
        check_seconds: float = CHECK_SECONDS,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reactor = reactor
        self._gateway = gateway
        self._lifetime_seconds = lifetime_seconds
        self._check_seconds = check_seconds
        self._steady = steady
        self._chance = SystemRandom().random
        self._protocols = all_protocols(reactor, secret or secrets.token_bytes(32), steady, self._chance)
        self._keepers: list[Keeper] = []

    @property
    def mappings(self) -> list[Mapping]:
        """Those that there are now."""
        return [keeper.current for keeper in self._keepers if keeper.current is not None]

    @property
    def no_public_address(self) -> bool:
        """Whether the gateway maps nothing since it has no public address itself."""
        return any(keeper.no_public_address for keeper in self._keepers)

    def map(
        self,
        internal_port: int,
        changed: Callable[[Mapping | None], None],
        *,
        external_port: int | None = None,
        description: str = "nodetrust",
    ) -> None:
        """Map a TCP port, and keep it mapped; never raises.

        `changed` is called, never before this returns, with each new mapping (the first one, another external address
        or port), and with None when it is lost. `external_port` is a wish, the same as the internal one by default.
        """
        wanted = Wanted(internal_port, external_port or internal_port, description, self._lifetime_seconds)
        keeper = Keeper(
            self._reactor,
            wanted,
            changed,
            partial(find_place, self._gateway),
            self._protocols,
            steady=self._steady,
            chance=self._chance,
            check_seconds=self._check_seconds,
        )
        self._keepers.append(keeper)
        keeper.start()

    def look(self) -> None:
        """Check every mapping now, for whoever has reason to believe that something has changed."""
        for keeper in self._keepers:
            keeper.look()

    async def stop(self) -> None:
        """Remove the mappings from the gateway; returns when they are, or after three seconds."""
        keepers, self._keepers = self._keepers, []
        await gatherResults([Deferred.fromCoroutine(keeper.stop()) for keeper in keepers])
