"""From a multiaddr to a byte stream: TCP, and WebSocket with and without TLS.

Sources: libp2p/specs `addressing/README.md`, `websockets/README.md`; RFC 6455.

Read in this order: `address` (what a multiaddr says), `resolve` (names), `source` (from where we dial), `sockets` (what
transports share), `tcp`, `certificates` (TLS of a listener and of a dialer), `websocket_channel`, `websocket`.
"""

from nodetrust.libp2p.transports.address import TransportAddress
from nodetrust.libp2p.transports.certificates import CertificateStore
from nodetrust.libp2p.transports.errors import CertificateError, UnsupportedAddress
from nodetrust.libp2p.transports.sockets import Listener, RawConnection, Transport
from nodetrust.libp2p.transports.tcp import TcpTransport
from nodetrust.libp2p.transports.websocket import WebSocketTransport

__all__ = [
    "CertificateError",
    "CertificateStore",
    "Listener",
    "RawConnection",
    "TcpTransport",
    "Transport",
    "TransportAddress",
    "UnsupportedAddress",
    "WebSocketTransport",
]
