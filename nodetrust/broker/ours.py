"""Which addresses are this machine's own."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from nodetrust.names import IPAddress

_ANY_PORT = 9


def is_ours(ip: IPAddress) -> bool:
    """Whether this machine would be dialling itself. Asks the kernel, which knows all interfaces as they are now.

    Nothing is sent: a UDP socket only learns its route. To itself the machine speaks from the very same address.
    """
    if ip.is_loopback:
        return True
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(ip), _ANY_PORT))
            host: str = probe.getsockname()[0]
    except OSError:
        return False
    return ip_address(host.partition("%")[0]) == ip
