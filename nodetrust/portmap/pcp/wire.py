"""The datagrams of PCP (RFC 6887 §7, §11 and §14), in network byte order. Pure.

IPv4 addresses stand in them as IPv4-mapped IPv6 addresses (§5).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from nodetrust.portmap.errors import NoAnswerError, NoPublicAddressError, RefusedError

VERSION = 2
MAX_BYTES = 1100
"""§7: the largest datagram of PCP."""
NONCE_BYTES = 12

_NAT_PMP_VERSION = 0
_ANNOUNCE = 0
_MAP = 1
_ANSWER = 128
_TCP = 6
_ANY = IPv4Address(0)

_REQUEST = struct.Struct("!BBHI16s")
_HEADER = struct.Struct("!BBBBII12x")
_MAPPING = struct.Struct(f"!{NONCE_BYTES}sB3xHH16s")

_UNSUPPORTED_VERSION = 1
_NETWORK_FAILURE = 7
_ADDRESS_MISMATCH = 12
_WORDS = {
    2: "it does not allow this mapping (it may be switched off in its settings, or an earlier one is in the way)",
    3: "it calls the request malformed",
    4: "it does not know this kind of request",
    5: "it does not know an option of the request",
    6: "it calls an option of the request malformed",
    _NETWORK_FAILURE: "it has no connection to the internet itself",
    8: "it has no room for more mappings",
    9: "it does not map TCP",
    10: "this machine has used up its share of mappings",
    11: "it cannot give the external port that was asked for",
    _ADDRESS_MISMATCH: "another NAT is between this machine and it",
    13: "it allows too few remote peers",
}
"""§7.4."""


@dataclass(frozen=True, slots=True)
class MapAnswer:
    """A mapping of TCP, with the address, port and lifetime that the gateway has chosen."""

    external_address: IPv4Address
    external_port: int
    lifetime_seconds: int


def _mapped(address: IPv4Address) -> bytes:
    return bytes(10) + b"\xff\xff" + address.packed


def encode_announce_request(own_address: IPv4Address) -> bytes:
    """Asks whether the gateway is there (§14.1)."""
    return _REQUEST.pack(VERSION, _ANNOUNCE, 0, 0, _mapped(own_address))


def encode_map_request(
    own_address: IPv4Address, nonce: bytes, internal_port: int, external_port: int, lifetime_seconds: int
) -> bytes:
    """Asks to map TCP, on whatever external address (§11.1); with a lifetime of 0 the mapping ends (§15)."""
    header = _REQUEST.pack(VERSION, _MAP, 0, lifetime_seconds, _mapped(own_address))
    return header + _MAPPING.pack(nonce, _TCP, internal_port, external_port, _mapped(_ANY))


def decode_announce_answer(data: bytes) -> bool | None:
    """True for a gateway that speaks PCP, whatever else it says; None for what is no answer.

    Raises `NoAnswerError` if it speaks other versions only.
    """
    return None if _read_header(data, _ANNOUNCE) is None else True


def decode_map_answer(data: bytes, nonce: bytes, internal_port: int) -> MapAnswer | None:
    """The answer to a request with that nonce and port; None for what is none (§11.4).

    Raises `RefusedError` with the gateway's reason, `NoAnswerError` if it speaks other versions only.
    """
    header = _read_header(data, _MAP)
    if header is None or len(data) < _HEADER.size + _MAPPING.size:
        return None
    answered = _MAPPING.unpack_from(data, _HEADER.size)
    if answered[:3] != (nonce, _TCP, internal_port):
        return None
    result, lifetime = header
    if result == _NETWORK_FAILURE:
        raise NoPublicAddressError(_WORDS[result])
    if result != 0:
        raise RefusedError(_WORDS.get(result, f"it refuses with the unknown code {result}"))
    external = IPv6Address(answered[4]).ipv4_mapped
    if external is None:
        raise RefusedError("it gives an external address of IPv6")
    return MapAnswer(external, answered[3], lifetime)


def _read_header(data: bytes, operation: int) -> tuple[int, int] | None:
    """The result and the lifetime of an answer to such a request; None for what is none.

    Raises `NoAnswerError` if the gateway speaks other versions only; one that speaks NAT-PMP alone says so in its own
    way (§9).
    """
    if len(data) < 4 or len(data) > MAX_BYTES:
        return None
    if data[0] == _NAT_PMP_VERSION and data[1] & _ANSWER:
        raise NoAnswerError("it speaks NAT-PMP alone")
    if len(data) < _HEADER.size or data[1] != _ANSWER + operation:
        return None
    version, _, _, result, lifetime, _ = _HEADER.unpack_from(data)
    if result == _UNSUPPORTED_VERSION:
        raise NoAnswerError("it does not speak this version")
    return (result, lifetime) if version == VERSION else None
