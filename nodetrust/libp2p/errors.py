"""The errors of the libp2p stack. All are :class:`Libp2pError`; the text is fit to show to a person."""

from collections.abc import Sequence


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


class WrongPeer(HandshakeError):
    """The peer at the other end has proven that it is another than was expected."""


class MuxerError(Libp2pError):
    """The other side broke the rules of the stream multiplexer; the connection ends."""


class DialError(Libp2pError):
    """No address of a peer led to a connection; `reasons` are what was wrong with each one that was tried."""

    def __init__(self, text: str, reasons: Sequence[Exception] = ()) -> None:
        super().__init__(text)
        self.reasons = tuple(reasons)

    @property
    def cause(self) -> Exception:
        """What was wrong, where a single IP address was tried; else this error itself."""
        if len(self.reasons) != 1:
            return self
        reason = self.reasons[0]
        return reason.cause if isinstance(reason, DialError) else reason


class NoAnswer(DialError):
    """No host at the address has answered in time: there is none, or a firewall drops what is sent to it."""


class PortClosed(DialError):
    """The host at the address, or a firewall before it, says that nobody listens on the port."""


class NoWebSocket(DialError):
    """The server at the address does not answer as a WebSocket server does, or not in time."""


class TlsFailed(DialError):
    """The server at the address speaks no TLS, or shows no certificate for the name that is trusted here."""


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
