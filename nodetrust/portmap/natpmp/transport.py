"""`NatPmp`: one port mapped by NAT-PMP."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from nodetrust.portmap.errors import NoPublicAddressError, RefusedError
from nodetrust.portmap.exchange import ask
from nodetrust.portmap.mapping import Granted, Place, Wanted
from nodetrust.portmap.natpmp.wire import (
    AddressAnswer,
    decode_address_answer,
    decode_map_answer,
    encode_address_request,
    encode_map_request,
)
from nodetrust.portmap.plan import Epoch, nat_pmp_lost

_UNKNOWN = IPv4Address(0)


class NatPmp:
    """Speaks NAT-PMP with the gateway of `place`; `steady` is a clock that nobody sets."""

    name = "NAT-PMP"

    def __init__(self, reactor: Any, place: Place, wanted: Wanted, steady: Callable[[], float]) -> None:
        self._reactor = reactor
        self._gateway = place.gateway
        self._wanted = wanted
        self._steady = steady
        self._external_port = wanted.external_port
        self._address: IPv4Address | None = None
        self._epoch: Epoch | None = None
        self._asked = False

    async def probe(self) -> None:
        """Ask for the external address."""
        await self._ask_address()

    async def add(self) -> Granted:
        """Map, or renew: a gateway gives a port back that it gave before, if it can (RFC 6886 §3.3)."""
        self._asked = True
        port = self._wanted.internal_port
        request = encode_map_request(port, self._external_port, self._wanted.lifetime_seconds)
        answer = await ask(self._reactor, self._gateway, request, lambda data: decode_map_answer(data, port))
        if not answer.external_port or not answer.lifetime_seconds:
            raise RefusedError("it maps no port and says that it did")
        self._external_port = answer.external_port
        address = (await self._ask_address()).address
        return Granted(address, answer.external_port, answer.lifetime_seconds)

    async def check(self) -> Granted | None:
        """Ask for the external address again; map again if it is another, or if the gateway has forgotten."""
        epoch, address = self._epoch, self._address
        await self._ask_address()
        forgotten = epoch is not None and self._epoch is not None and nat_pmp_lost(epoch, self._epoch)
        return await self.add() if forgotten or address != self._address else None

    async def remove(self) -> None:
        """End the mapping, if there may be one."""
        if self._asked:
            port = self._wanted.internal_port
            request = encode_map_request(port, 0, 0)
            await ask(self._reactor, self._gateway, request, lambda data: decode_map_answer(data, port))

    async def _ask_address(self) -> AddressAnswer:
        answer = await ask(self._reactor, self._gateway, encode_address_request(), decode_address_answer)
        if answer.address == _UNKNOWN:
            raise NoPublicAddressError("it has no external address: it may not be connected to the internet")
        self._epoch = Epoch(answer.epoch, self._steady())
        self._address = answer.address
        return answer
