"""A libp2p stack on Twisted, usable without the rest of nodetrust, of which it imports nothing.

Specification: https://github.com/libp2p/specs. In reading order:

* values, pure: ``errors``, ``varint``, ``basex``, ``keys``, ``peer_id``, ``multiaddr`` (and its table,
  ``multiaddr_protocols``), ``records``, ``framing``; ``pb`` is generated from ``proto/libp2p``
* what carries bytes: ``channel``, ``transports`` (TCP, WebSocket)
* what makes a raw channel a connection: ``multistream``, ``noise``, ``tls``, ``yamux``, ``upgrade``, ``connection``
* who holds it all: ``host``
* protocols on streams: ``identify``, ``ping``, ``pubsub``

Each layer is a Twisted transport to the one above it and a Twisted protocol to the one below it.
"""
