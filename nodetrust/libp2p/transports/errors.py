"""The errors of the transports."""

from nodetrust.libp2p.errors import Libp2pError


class UnsupportedAddress(Libp2pError):
    """A well-formed multiaddr that none of our transports can dial or listen on."""


class CertificateError(Libp2pError):
    """A private key and a certificate chain that can't be used together."""
