"""A question that got no answer."""

from __future__ import annotations

from nodetrust.errors import NodetrustError


class NoReply(NodetrustError):
    """A DNS server did not answer; the text says how that shows."""


class NoRoute(NoReply):
    """This machine has no way to that address: where it has no IPv6, say."""


class InvalidReply(NoReply):
    """What came is no answer to the question."""
