"""What is wrong with a header, and a server that is not who it should be."""

from nodetrust.errors import NodetrustError


class PeerAuthError(NodetrustError):
    """HTTP PeerID authentication that cannot go on."""


class InvalidHeader(PeerAuthError):
    """A header's value that is none of this scheme, is too long, or holds what is no key, signature or challenge."""


class ServerRefused(PeerAuthError):
    """The server takes nobody's word, or speaks another scheme."""


class ServerNotProven(PeerAuthError):
    """The server's signature is missing or wrong: whoever answers does not have the key that it shows."""
