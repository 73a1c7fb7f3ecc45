"""The errors of the libp2p stack. All are :class:`Libp2pError`; the text is fit to show to a person."""


class Libp2pError(Exception):
    """Anything that this stack refuses, gives up on, or was told by the other side."""


class InvalidData(Libp2pError):
    """Bytes or text that do not follow their format: the other side's fault, or whoever configured it."""


class InvalidVarint(InvalidData):
    """A varint longer than nine bytes, or longer than its value needs."""


class InvalidBase(InvalidData):
    """Text with a character outside its alphabet, or longer than the codec reads."""


class InvalidKey(InvalidData):
    """A key of a type or size that we do not take, or one that does not parse."""


class InvalidPeerId(InvalidData):
    """Bytes that are no peer ID's multihash, or text that is no peer ID."""


class InvalidMultiaddr(InvalidData):
    """Bytes or text that are no multiaddr, or one with a protocol that we do not know."""


class InvalidRecord(InvalidData):
    """A signed envelope or peer record that does not parse, or whose signature or owner is wrong."""


class MessageTooLong(InvalidData):
    """A length-prefixed message that announces more bytes than its protocol allows."""

    def __init__(self, announced_bytes: int, max_bytes: int) -> None:
        super().__init__(f"message of {announced_bytes} bytes, allowed are {max_bytes}")
        self.announced_bytes = announced_bytes
        self.max_bytes = max_bytes


class NegotiationError(Libp2pError):
    """multistream-select: the other side speaks none of our protocols, or does not follow the negotiation."""


class HandshakeError(Libp2pError):
    """A security layer could not be set up: wrong peer, wrong signature, wrong bytes."""


class MuxerError(Libp2pError):
    """The other side broke the rules of the stream multiplexer; the connection ends."""


class DialError(Libp2pError):
    """No address of a peer led to a connection."""


class ListenError(Libp2pError):
    """An address that we can not listen on."""


class ConnectionClosed(Libp2pError):
    """The connection has ended, or ends before this could be done."""


class StreamReset(Libp2pError):
    """The other side, or we, ended a stream abruptly."""


class StreamEnded(Libp2pError):
    """The other side closed its half of the stream where a message was expected."""


class Timeout(Libp2pError):
    """What was waited for did not come in time."""


class LimitExceeded(Libp2pError):
    """One more of these (streams, connections, bytes kept) than this host allows."""
