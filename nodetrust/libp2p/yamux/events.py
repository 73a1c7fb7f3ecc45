"""What a session reports about the bytes that it was given."""

from __future__ import annotations

from typing import NamedTuple

from nodetrust.libp2p.yamux.errors import YamuxProtocolError


class StreamOpened(NamedTuple):
    """The remote side opened a stream; answer with `accept` or `reset`."""

    stream_id: int


class DataReceived(NamedTuple):
    """Bytes for a stream; say `consumed` when its reader has taken them."""

    stream_id: int
    data: bytes


class WindowOpened(NamedTuple):
    """The remote side lets us send more on a stream."""

    stream_id: int


class StreamEnded(NamedTuple):
    """The remote side sends no more on a stream (FIN)."""

    stream_id: int


class StreamReset(NamedTuple):
    """A stream is gone at once, both ways: by the remote side's RST, or because we refused what came on it."""

    stream_id: int
    code: int


class Ponged(NamedTuple):
    """A ping of ours was answered after `rtt_seconds`."""

    rtt_seconds: float


class GoneAway(NamedTuple):
    """The remote side ended the session: nothing that comes later counts, and all streams are gone."""

    code: int


class Violated(NamedTuple):
    """The remote side broke the rules; a GoAway waits to be sent, and the session is over like after `GoneAway`."""

    error: YamuxProtocolError


Event = StreamOpened | DataReceived | WindowOpened | StreamEnded | StreamReset | Ponged | GoneAway | Violated
