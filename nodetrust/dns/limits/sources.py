"""Where a query comes from, as octets: the same for one client, whichever kind of socket it reached."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

IPV4_BYTES = 4
"""Of an address; IPv6 has 16."""

_MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291 §2.5.5.2


def unmapped(source: bytes) -> bytes:
    """An address; 4 octets for IPv4 also where a socket for both families shows it as `::ffff:192.0.2.1`."""
    return source[len(_MAPPED) :] if source.startswith(_MAPPED) else source


def pack_host(host: str) -> bytes:
    """The octets of an address as Twisted writes it; nothing for what is none (a UNIX socket, a test's transport)."""
    try:
        address = ip_address(host)
    except ValueError:
        return b""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).packed
