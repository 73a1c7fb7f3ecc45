"""A libp2p stack on Twisted, usable without the rest of nodetrust, of which it imports nothing.

Specification: https://github.com/libp2p/specs. In reading order:

* values, pure: ``errors``, ``varint``, ``basex``, ``peer_id``, ``keys``, ``multiaddr`` (and its table,
  ``multiaddr_protocols``), ``records``, ``framing``; ``pb`` is generated from ``proto/libp2p``
* what carries bytes: ``channel``; ``limits``, ``token_bucket`` and ``staggered``; ``transports`` (TCP, WebSocket)
* what makes a raw channel a connection: ``conversation``, ``multistream``, ``security``, ``noise``, ``tls``, ``yamux``,
  ``upgrade``, ``connection``
* how protocols see a stream: ``streams``, ``message_stream``, ``requests``
* who holds it all: ``dialer``, ``host``
* protocols on streams: ``identify``, ``ping``, ``pubsub``

Each layer is a Twisted transport to the one above it and a Twisted protocol to the one below it.
"""
