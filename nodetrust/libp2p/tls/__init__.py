"""TLS 1.3 as a libp2p security layer: self-signed certificates that carry the peer's identity.

Specification: libp2p/specs `tls/tls.md`; `connections/inlined-muxer-negotiation.md` for the muxer choice by ALPN.

Read in this order: `certificate` (make and check one: pure), `transport` (`TlsSecurity`, on Twisted's TLS). This has
nothing to do with WSS: there, TLS with a CA's certificate lies below the WebSocket, and this or Noise above it.
"""

from nodetrust.libp2p.tls.transport import TlsChannel, TlsSecurity

__all__ = ["TlsChannel", "TlsSecurity"]
