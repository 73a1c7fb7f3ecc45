"""What can go wrong with a session or one of its streams."""

from __future__ import annotations

from twisted.internet.error import ConnectionLost

from nodetrust.libp2p.errors import ConnectionClosed, Libp2pError, LimitExceeded, MuxerError


class YamuxError(Libp2pError):
    """The root of this folder's errors."""


class YamuxProtocolError(YamuxError, MuxerError):
    """The remote side broke the protocol's rules; the session ends with a GoAway that carries `code`."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


class SessionClosedError(YamuxError, ConnectionClosed):
    """The session has ended or is ending: no stream can be opened on it."""


class TooManyStreamsError(YamuxError, LimitExceeded):
    """So many of our streams wait for the remote side's acknowledgement that no more may be opened now."""


class StreamClosedError(YamuxError):
    """A stream was used after its end: a fault of the caller."""


class StreamLostError(YamuxError, ConnectionLost):
    """The reason given to a stream's protocol when the session under it went away."""

    __str__ = Exception.__str__


class StreamResetError(StreamLostError):
    """The reason given to a stream's protocol when it was reset; `code` is a `StreamCode`, 0 if none was said."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the stream was reset with code {code:#x}")
        self.code = code
