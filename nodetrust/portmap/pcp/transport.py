"""`Pcp`: one port mapped by PCP."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from nodetrust.portmap.errors import NoPublicAddressError, RefusedError
from nodetrust.portmap.exchange import ask
from nodetrust.portmap.mapping import Granted, Place, Wanted
from nodetrust.portmap.pcp.wire import (
    NONCE_BYTES,
    MapAnswer,
    decode_announce_answer,
    decode_map_answer,
    encode_announce_request,
    encode_map_request,
)


def mapping_nonce(secret: bytes, place: Place, internal_port: int) -> bytes:
    """The nonce of a mapping, which proves to the gateway that it is ours: the same one after a crash (RFC 6887 §11.2).

    Another gateway or port sees another one.
    """
    where = f"{place.gateway} {place.own_address} {internal_port}".encode()
    return hmac.digest(secret, b"nodetrust portmap " + where, hashlib.sha256)[:NONCE_BYTES]


class Pcp:
    """Speaks PCP with the gateway of `place`."""

    name = "PCP"

    def __init__(self, reactor: Any, place: Place, wanted: Wanted, secret: bytes) -> None:
        self._reactor = reactor
        self._place = place
        self._wanted = wanted
        self._nonce = mapping_nonce(secret, place, wanted.internal_port)
        self._external_port = wanted.external_port
        self._asked = False

    async def probe(self) -> None:
        """Ask whether the gateway speaks PCP."""
        request = encode_announce_request(self._place.own_address)
        await ask(self._reactor, self._place.gateway, request, decode_announce_answer)

    async def add(self) -> Granted:
        """Map, or renew what has the same nonce."""
        self._asked = True
        answer = await self._ask_mapping(self._external_port, self._wanted.lifetime_seconds)
        if not answer.external_port or not answer.lifetime_seconds:
            raise RefusedError("it maps no port and says that it did")
        if answer.external_address.is_unspecified:
            raise NoPublicAddressError("it has no external address: it may not be connected to the internet")
        self._external_port = answer.external_port
        return Granted(answer.external_address, answer.external_port, answer.lifetime_seconds)

    async def check(self) -> Granted | None:
        """Renew: nothing else tells the external address, and not all gateways begin a new epoch with a new one."""
        return await self.add()

    async def remove(self) -> None:
        """End the mapping, if there may be one."""
        if self._asked:
            await self._ask_mapping(0, 0)

    async def _ask_mapping(self, external_port: int, lifetime_seconds: int) -> MapAnswer:
        port = self._wanted.internal_port
        request = encode_map_request(self._place.own_address, self._nonce, port, external_port, lifetime_seconds)
        return await ask(
            self._reactor, self._place.gateway, request, lambda data: decode_map_answer(data, self._nonce, port)
        )
