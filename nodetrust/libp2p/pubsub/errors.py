"""What can be wrong with what a pubsub peer sends, or with what we are asked to publish."""

from __future__ import annotations

from nodetrust.libp2p.errors import Libp2pError


class PubSubError(Libp2pError):
    """The root of this folder's errors."""


class RpcInvalid(PubSubError):
    """Bytes that are no RPC, or exceed a limit of `wire`; the stream they came on is of no more use."""


class MessageInvalid(PubSubError):
    """A message breaks the signing policy: author, sequence number, key or signature is missing or wrong."""


class MessageTooLarge(PubSubError, ValueError):
    """What we are asked to publish would not fit into one RPC."""
