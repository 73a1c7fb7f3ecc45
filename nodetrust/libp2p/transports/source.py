"""From which address this machine sends to another one.

Where a system takes temporary IPv6 addresses for privacy (RFC 8981), a new one each day, it prefers them. Peers want to
be found where they were seen: they dial from the lasting address (RFC 5014: IPV6_PREFER_SRC_PUBLIC).
"""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

_ADDR_PREFERENCES, _PREFER_SRC_PUBLIC = 72, 2
"""Linux's linux/in6.h; Python has no names for them, and other systems other ways."""

_DISCARD = 9


def source_address(place: str) -> IPv4Address | IPv6Address | None:
    """Where this machine sends from to an IP address; None if there is no way to it.

    To connect a UDP socket sends nothing.
    """
    family = socket.AF_INET6 if ":" in place else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as way:
            if family == socket.AF_INET6 and sys.platform == "linux":
                with suppress(OSError):
                    way.setsockopt(socket.IPPROTO_IPV6, _ADDR_PREFERENCES, _PREFER_SRC_PUBLIC)
            way.connect((place, _DISCARD))
            return ip_address(way.getsockname()[0].partition("%")[0])
    except OSError:  # no route, or no such family
        return None


def bind_address(place: str) -> tuple[str, int] | None:
    """What to bind a socket to that is connected to this IP address; None where the system chooses well by itself."""
    source = source_address(place) if ":" in place else None
    return None if source is None or not source.is_global else (str(source), 0)
