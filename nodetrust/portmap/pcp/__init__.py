"""PCP, the successor of NAT-PMP: https://www.rfc-editor.org/rfc/rfc6887, of which MAP and ANNOUNCE are spoken here.

Read in this order: `wire` (datagrams), `transport` (`Pcp`).
"""

from nodetrust.portmap.pcp.transport import Pcp

__all__ = ["Pcp"]
