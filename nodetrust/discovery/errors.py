"""What is wrong with an announcement."""

from __future__ import annotations

from nodetrust.errors import NodetrustError


class InvalidAnnouncement(NodetrustError):
    """An announcement that does not parse, is too large, or has an address of another peer than it is about."""
