"""A port of this machine made reachable through a home router's NAT: PCP, NAT-PMP and UPnP IGD, whichever it speaks.

IPv4 and TCP only: with IPv6 there is an address of one's own, and a router's firewall opens by other means. The
default gateway is read from Linux's routing table; elsewhere it must be given.

In reading order:

* `errors`, `mapping`: what goes wrong, and the values
* `plan`: when to look, renew and try again, and whether a gateway has forgotten all (pure)
* `routes`: which gateway to ask
* `exchange`: one question to the gateway in datagrams
* `natpmp`, `pcp`, `upnp`: a protocol each
* `protocols`: what they have in common, and the order in which they are preferred
* `keeper`: one port, kept mapped
* `mapper`: `PortMapper`, for the ports of a process
"""

from nodetrust.portmap.errors import PortMapError
from nodetrust.portmap.mapper import PortMapper
from nodetrust.portmap.mapping import Mapping

__all__ = ["Mapping", "PortMapError", "PortMapper"]
