"""yamux: many streams over one connection (https://github.com/libp2p/specs/blob/master/yamux/README.md).

In reading order: `wire.py` (frames ⇄ bytes), `window.py` (flow control and its budget), `events.py`, `machine.py` (a
session without I/O), `send_queue.py`, `stream.py` (a stream as a Twisted transport), `transport.py` (a session on a
channel).
"""

from nodetrust.libp2p.yamux.errors import (
    SessionClosedError,
    StreamClosedError,
    StreamLostError,
    StreamResetError,
    TooManyStreamsError,
    YamuxError,
    YamuxProtocolError,
)
from nodetrust.libp2p.yamux.stream import YamuxStream
from nodetrust.libp2p.yamux.transport import YamuxSession
from nodetrust.libp2p.yamux.wire import SessionCode, StreamCode

PROTOCOL_ID = "/yamux/1.0.0"

__all__ = [
    "PROTOCOL_ID",
    "SessionClosedError",
    "SessionCode",
    "StreamClosedError",
    "StreamCode",
    "StreamLostError",
    "StreamResetError",
    "TooManyStreamsError",
    "YamuxError",
    "YamuxProtocolError",
    "YamuxSession",
    "YamuxStream",
]
