"""What can go wrong with starting the development CA."""

from nodetrust.errors import NodetrustError


class CAError(NodetrustError):
    """The development CA cannot start: its port is taken, or its folder cannot be used."""
