"""Why nothing can be forwarded."""

from nodetrust.errors import NodetrustError


class InvalidTarget(NodetrustError):
    """A text that does not say where a node listens."""


class NoNode(NodetrustError):
    """Nobody answers where the node should be, or whoever does speaks no libp2p."""
