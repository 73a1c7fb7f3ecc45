"""NAT-PMP, which Apple's routers brought and many others speak: https://www.rfc-editor.org/rfc/rfc6886

Read in this order: `wire` (datagrams), `transport` (`NatPmp`).
"""

from nodetrust.portmap.natpmp.transport import NatPmp

__all__ = ["NatPmp"]
