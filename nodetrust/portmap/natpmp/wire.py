"""The datagrams of NAT-PMP (RFC 6886 §3), in network byte order. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from nodetrust.portmap.errors import NoAnswerError, NoPublicAddressError, RefusedError

VERSION = 0
_ADDRESS = 0
_MAP_TCP = 2
_ANSWER = 128

_HEADER = struct.Struct("!BBHI")
_ADDRESS_ANSWER = struct.Struct("!BBHI4s")
_MAP_REQUEST = struct.Struct("!BBHHHI")
_MAP_ANSWER = struct.Struct("!BBHIHHI")

_UNSUPPORTED_VERSION = 1
_NETWORK_FAILURE = 3
_WORDS = {
    2: "it does not allow mappings (they may be switched off in its settings)",
    _NETWORK_FAILURE: "it has no connection to the internet itself",
    4: "it has no room for more mappings",
    5: "it does not know this kind of request",
}
"""RFC 6886 §3.5."""


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    """The gateway's external address, and its epoch in seconds."""

    epoch: int
    address: IPv4Address


@dataclass(frozen=True, slots=True)
class MapAnswer:
    """A mapping of TCP, with the port and lifetime that the gateway has chosen."""

    epoch: int
    external_port: int
    lifetime_seconds: int


def encode_address_request() -> bytes:
    """Asks for the external address (§3.2)."""
    return bytes((VERSION, _ADDRESS))


def encode_map_request(internal_port: int, external_port: int, lifetime_seconds: int) -> bytes:
    """Asks to map TCP (§3.3); a lifetime of 0 with the external port 0 ends the mapping (§3.4)."""
    return _MAP_REQUEST.pack(VERSION, _MAP_TCP, 0, internal_port, external_port, lifetime_seconds)


def decode_address_answer(data: bytes) -> AddressAnswer | None:
    """The answer to an address request; None for what is none. Raises as `_is_answer` does."""
    if not _is_answer(data, _ADDRESS) or len(data) < _ADDRESS_ANSWER.size:
        return None
    epoch, address = _ADDRESS_ANSWER.unpack_from(data)[3:]
    return AddressAnswer(epoch, IPv4Address(address))


def decode_map_answer(data: bytes, internal_port: int) -> MapAnswer | None:
    """The answer to a request to map that port; None for what is none. Raises as `_is_answer` does."""
    if not _is_answer(data, _MAP_TCP) or len(data) < _MAP_ANSWER.size:
        return None
    epoch, internal, external, lifetime = _MAP_ANSWER.unpack_from(data)[3:]
    return MapAnswer(epoch, external, lifetime) if internal == internal_port else None


def _is_answer(data: bytes, operation: int) -> bool:
    """Whether it is an answer to such a request, and a good one.

    Raises `RefusedError` with the gateway's reason, `NoAnswerError` if it speaks other versions only.
    """
    if len(data) < _HEADER.size:
        return False
    version, answered, result, _ = _HEADER.unpack_from(data)
    if version != VERSION or answered != _ANSWER + operation:
        return False
    if result == _UNSUPPORTED_VERSION:
        raise NoAnswerError("it does not speak this version")
    if result == _NETWORK_FAILURE:
        raise NoPublicAddressError(_WORDS[result])
    if result != 0:
        raise RefusedError(_WORDS.get(result, f"it refuses with the unknown code {result}"))
    return True
