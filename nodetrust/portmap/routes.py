"""Which gateway to ask, the one of Linux's default route, and from where."""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path

from nodetrust.portmap.errors import NoGatewayError
from nodetrust.portmap.mapping import Place

ROUTES = Path("/proc/net/route")
"""One line a route; proc(5), and the kernel's net/ipv4/fib_trie.c."""

_UP_AND_GATEWAY = 0x0003
"""RTF_UP and RTF_GATEWAY; a default route without the latter leads into a tunnel."""

_ANY_PORT = 9


def default_gateway(table: str) -> IPv4Address | None:
    """The gateway of the default route with the lowest metric in a table as Linux writes it; None if there is none.

    Lines that cannot be read are passed over. Addresses are numbers in the machine's own byte order.
    """
    found = [route for line in table.splitlines()[1:] if (route := _read_default(line.split())) is not None]
    return min(found)[1] if found else None


def _read_default(fields: list[str]) -> tuple[int, IPv4Address] | None:
    try:
        destination, gateway, flags, metric, mask = (
            *(int(fields[at], 16) for at in (1, 2, 3)),
            int(fields[6]),
            fields[7],
        )
        if destination or int(mask, 16) or flags & _UP_AND_GATEWAY != _UP_AND_GATEWAY:
            return None
        return metric, IPv4Address(gateway.to_bytes(4, sys.byteorder))
    except (IndexError, ValueError, OverflowError):
        return None


def find_gateway(path: Path = ROUTES) -> IPv4Address:
    """The default gateway as of now; raises `NoGatewayError`."""
    try:
        table = path.read_text()
    except OSError as error:
        raise NoGatewayError("the router's address is not known: it is read from Linux's routing table") from error
    gateway = default_gateway(table)
    if gateway is None:
        raise NoGatewayError("there is no default route over a router")
    return gateway


def find_place(gateway: IPv4Address | None = None) -> Place:
    """The gateway, the default one unless it is given, and the address from which we reach it; nothing is sent.

    Raises `NoGatewayError`.
    """
    gateway = gateway or find_gateway()
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asking:
        try:
            asking.connect((str(gateway), _ANY_PORT))
            return Place(gateway, IPv4Address(asking.getsockname()[0]))
        except OSError as error:
            raise NoGatewayError(f"there is no way to the router {gateway}: {error.strerror}") from error
