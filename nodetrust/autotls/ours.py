"""Which addresses are this machine's own."""

from __future__ import annotations

import socket

from nodetrust.names import IPAddress


def is_ours(ip: IPAddress) -> bool:
    """Whether this machine would be dialling itself. Asks the kernel, which knows all interfaces as they are now."""
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(ip), 0))
    except OSError:
        return False
    return True
