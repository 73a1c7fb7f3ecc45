"""What can go wrong with the store."""

from nodetrust.errors import NodetrustError


class StoreError(NodetrustError):
    """The database cannot be opened, read or written; what was asked has not happened. The text names the database."""
