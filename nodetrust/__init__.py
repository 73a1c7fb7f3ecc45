"""nodetrust: names and certificates for libp2p nodes that prove their address.

ARCHITECTURE.md in the source tree is the map of this package.
"""

__version__ = "0.1.0"
