"""What is refused here."""

from nodetrust.errors import NodetrustError


class ListError(NodetrustError):
    """A list that is refused or cannot be fetched; the text begins with the list's name, and its line."""
