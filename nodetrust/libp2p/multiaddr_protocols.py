"""The protocols that a multiaddr may name (multiformats/multiaddr protocols.csv), and how their values are written."""

import base64
import binascii
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote, unquote_to_bytes

from nodetrust.libp2p import varint
from nodetrust.libp2p.errors import InvalidMultiaddr
from nodetrust.libp2p.peer_id import PeerId

VARIABLE_SIZE = -1
"""The value has its length in front."""

MAX_NAME_CHARACTERS = 255
"""RFC 1035 §2.3.4, for the dns protocols and sni."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """One row. ``size`` is the bytes of the value: 0 for none, or :data:`VARIABLE_SIZE`.

    The two functions raise :class:`InvalidMultiaddr` or another :class:`InvalidData`.
    """

    name: str
    code: int
    size: int
    to_bytes: Callable[[str], bytes]
    to_text: Callable[[bytes], str]

    @property
    def prefix(self) -> bytes:
        """The code as it stands in front of the value."""
        return varint.encode(self.code)


def _ip4_bytes(text: str) -> bytes:
    return _ip_bytes(socket.AF_INET, text)


def _ip6_bytes(text: str) -> bytes:
    return _ip_bytes(socket.AF_INET6, text)


def _ip_bytes(family: socket.AddressFamily, text: str) -> bytes:
    try:
        return socket.inet_pton(family, text)
    except (OSError, ValueError):
        raise InvalidMultiaddr(f"not an IP address: {text[:80]!r}") from None


def _ip4_text(data: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET, data)


def _ip6_text(data: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6, data)


def _port_bytes(text: str) -> bytes:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 0xFFFF):
        raise InvalidMultiaddr(f"not a port: {text[:80]!r}")
    return int(text).to_bytes(2, "big")


def _port_text(data: bytes) -> str:
    return str(int.from_bytes(data, "big"))


def _name_bytes(text: str) -> bytes:
    if not text or "/" in text or not text.isprintable() or " " in text or len(text) > MAX_NAME_CHARACTERS:
        raise InvalidMultiaddr(f"not a name: {text[:80]!r}")
    return text.encode()


def _name_text(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InvalidMultiaddr("a name that is not UTF-8") from None
    _name_bytes(text)
    return text


def _path_bytes(text: str) -> bytes:
    return unquote_to_bytes(text)


def _path_text(data: bytes) -> str:
    if not data:
        raise InvalidMultiaddr("an empty path")
    return quote(data, safe="")


def _peer_bytes(text: str) -> bytes:
    return PeerId.parse(text).multihash


def _peer_text(data: bytes) -> str:
    return str(PeerId(data))


def _hash_bytes(text: str) -> bytes:
    """multibase ``u``: base64url without padding, the form in which everybody writes certificate hashes."""
    if not text.startswith("u"):
        raise InvalidMultiaddr(f"not a certificate's hash: {text[:80]!r}")
    try:
        return base64.b64decode(text[1:] + "=" * (-len(text[1:]) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidMultiaddr(f"not a certificate's hash: {text[:80]!r}") from None


def _hash_text(data: bytes) -> str:
    return "u" + base64.urlsafe_b64encode(data).decode().rstrip("=")


def _no_value(value: object) -> NoReturn:
    raise InvalidMultiaddr("a value for a protocol that has none")


def _port(name: str, code: int) -> Protocol:
    return Protocol(name, code, 2, _port_bytes, _port_text)


def _name(name: str, code: int) -> Protocol:
    return Protocol(name, code, VARIABLE_SIZE, _name_bytes, _name_text)


def _flag(name: str, code: int) -> Protocol:
    return Protocol(name, code, 0, _no_value, _no_value)


_PROTOCOLS = (
    Protocol("ip4", 4, 4, _ip4_bytes, _ip4_text),
    _port("tcp", 6),
    Protocol("ip6", 41, 16, _ip6_bytes, _ip6_text),
    _name("ip6zone", 42),
    _name("dns", 53),
    _name("dns4", 54),
    _name("dns6", 55),
    _name("dnsaddr", 56),
    _port("udp", 273),
    _flag("webrtc-direct", 280),
    _flag("webrtc", 281),
    _flag("p2p-circuit", 290),
    Protocol("p2p", 421, VARIABLE_SIZE, _peer_bytes, _peer_text),
    _flag("tls", 448),
    _name("sni", 449),
    _flag("noise", 454),
    _flag("quic", 460),
    _flag("quic-v1", 461),
    _flag("webtransport", 465),
    Protocol("certhash", 466, VARIABLE_SIZE, _hash_bytes, _hash_text),
    _flag("ws", 477),
    _flag("wss", 478),
    _flag("http", 480),
    Protocol("http-path", 481, VARIABLE_SIZE, _path_bytes, _path_text),
)

BY_CODE = {protocol.code: protocol for protocol in _PROTOCOLS}

BY_NAME = {protocol.name: protocol for protocol in _PROTOCOLS} | {"ipfs": BY_CODE[421]}
"""``ipfs`` is the former name of ``p2p``; it is read, never written."""
