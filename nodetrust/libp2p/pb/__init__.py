"""Protobuf modules, generated from ``proto/libp2p`` by ``proto/compile.py``: never edited by hand.

``crypto_pb2`` (keys), ``noise_pb2``, ``identify_pb2``, ``pubsub_pb2``, ``envelope_pb2``, ``peer_record_pb2``. Parsing
raises ``google.protobuf.message.DecodeError``; check the length first.
"""
