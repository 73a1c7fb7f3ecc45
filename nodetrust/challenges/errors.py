"""What goes wrong with a DNS server."""

from nodetrust.errors import NodetrustError


class DnsServerError(NodetrustError):
    """A DNS server did not take a challenge, or could not be reached."""
