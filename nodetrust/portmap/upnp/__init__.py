"""UPnP IGD, versions 1 and 2: https://openconnectivity.org/developer/specifications/upnp-resources/upnp/#igd

`async-upnp-client` reads descriptions and speaks SOAP; it runs on Twisted's reactor, because all that it does outside
goes through a requester of ours. Read in this order: `search` (where is the gateway's description?), `requester` (HTTP,
with the gateway alone), `faults` (its refusals in words), `transport` (`Upnp`).
"""

from nodetrust.portmap.upnp.transport import Upnp

__all__ = ["Upnp"]
