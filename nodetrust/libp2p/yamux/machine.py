"""A yamux session without any I/O: bytes in, events out, frames to send in a buffer.

The life of one stream, seen from here. Both halves end on their own; a stream whose two halves have ended is forgotten
as soon as its reader has taken everything, and one that either side has reset is forgotten at once.

    state           local_open  remote_open   leaves by
    open            yes         yes           end (we send FIN), FIN, reset, RST
    local closed    no          yes           FIN, reset, RST
    remote closed   yes         no            end, reset, RST
    unread          no          no            consumed, stop_reading, reset, RST
    forgotten       -           -             frames for it are read and ignored

Opening is apart from that: data may flow before the acknowledgement, which only counts against the backlog.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nodetrust.libp2p.token_bucket import TokenBucket
from nodetrust.libp2p.yamux.errors import (
    SessionClosedError,
    StreamClosedError,
    TooManyStreamsError,
    YamuxProtocolError,
)
from nodetrust.libp2p.yamux.events import (
    DataReceived,
    Event,
    GoneAway,
    Ponged,
    StreamEnded,
    StreamOpened,
    StreamReset,
    Violated,
    WindowOpened,
)
from nodetrust.libp2p.yamux.window import (
    INITIAL_WINDOW_BYTES,
    MAX_CREDIT,
    RECEIVE_BUDGET_BYTES,
    ReceiveBudget,
    ReceiveWindow,
)
from nodetrust.libp2p.yamux.wire import (
    ACK,
    FIN,
    HEADER_BYTES,
    RST,
    SYN,
    FrameReader,
    FrameType,
    Header,
    SessionCode,
    StreamCode,
    encode,
    encode_data,
)

MAX_INBOUND_STREAMS = 256
"""Live streams that the remote side has opened; more are reset (go: 256 not yet accepted)."""

MAX_UNACKNOWLEDGED_STREAMS = 256
"""Streams of ours that wait for an ACK (libp2p/specs yamux §Ack backlog)."""

MAX_FRAME_PAYLOAD = 65519 - HEADER_BYTES
"""The largest payload that we send: the frame fills one Noise message (65535 less the tag of 16), not a bit of two."""

MAX_QUEUED_CONTROL_FRAMES = 8192
"""More than one read of a socket can provoke; a remote side that makes us answer and doesn't read gets no further."""

MAX_QUEUED_PONGS = 64
"""Answers to pings that wait to be sent; further pings meanwhile are not answered."""

RESET_BURST = 1000
RESETS_PER_SECOND = 33.0
"""How often the remote side may open a stream and reset it, at once and then each second: work for us, and never one
more that counts as live ("rapid reset", CVE-2023-44487). nghttp2's defaults."""

MAX_STREAM_ID = 2**32 - 1


class _Stream:
    __slots__ = ("acknowledged", "local_open", "outbound", "reading", "remote_open", "send_credit", "window")

    def __init__(self, outbound: bool, window: ReceiveWindow) -> None:
        self.outbound = outbound
        self.window = window
        self.send_credit = INITIAL_WINDOW_BYTES
        self.acknowledged = False
        self.local_open = self.remote_open = True
        self.reading = True


class Session:
    """One end of a yamux connection; `dialer` decides which half of the stream IDs is ours.

    Frames to send gather until `data_to_send` takes them. All times are seconds of one clock.
    """

    def __init__(self, dialer: bool, receive_budget: int = RECEIVE_BUDGET_BYTES) -> None:
        self.closed = False
        self.rtt_seconds: float | None = None
        self.budget = ReceiveBudget(receive_budget)
        self._next_id = 1 if dialer else 2
        self._remote_parity = 0 if dialer else 1
        self._streams: dict[int, _Stream] = {}
        self._inbound = 0
        self._unacknowledged = 0
        self._reader = FrameReader()
        self._body: tuple[int, _Stream | None, int] = (0, None, 0)
        self._out: list[bytes] = []
        self._queued_control = self._queued_pongs = 0
        self.queued_bytes = 0
        """How many bytes `data_to_send` would give now."""
        self._ping_counter = 0
        self._ping_sent: float | None = None
        self._resets = TokenBucket(RESET_BURST, RESETS_PER_SECOND)
        self._receivers: dict[int, Callable[[Header, list[Event], float], None]] = {
            FrameType.DATA: self._data_header,
            FrameType.WINDOW_UPDATE: self._window_update,
            FrameType.PING: self._ping_received,
            FrameType.GO_AWAY: self._go_away_received,
        }

    # Asking.

    def __contains__(self, stream_id: int) -> bool:
        return stream_id in self._streams

    def sendable(self, stream_id: int) -> int:
        """How many bytes may be sent on a stream now; 0 for one that is closed."""
        stream = self._streams.get(stream_id)
        return stream.send_credit if stream is not None and stream.local_open else 0

    # What the local side does.

    def data_to_send(self) -> list[bytes]:
        """The frames that wait to be sent, in order; they are the caller's from now on."""
        out, self._out = self._out, []
        self.queued_bytes = self._queued_control = self._queued_pongs = 0
        return out

    def open_stream(self, now: float) -> int:
        """Open a stream and return its ID. Data may be sent at once.

        Raises `SessionClosedError`, or `TooManyStreamsError` while the backlog is full.
        """
        if self.closed or self._next_id > MAX_STREAM_ID:
            raise SessionClosedError("the session is closed")
        if self._unacknowledged >= MAX_UNACKNOWLEDGED_STREAMS:
            raise TooManyStreamsError(f"{self._unacknowledged} streams wait for the remote side to accept them")
        stream_id = self._next_id
        self._next_id += 2
        self._unacknowledged += 1
        self._streams[stream_id] = _Stream(True, ReceiveWindow(self.budget, now))
        self._send_control(encode(FrameType.WINDOW_UPDATE, SYN, stream_id, 0))
        return stream_id

    def accept(self, stream_id: int) -> None:
        """Acknowledge a stream that the remote side opened."""
        stream = self._live(stream_id)
        if not stream.acknowledged:
            stream.acknowledged = True
            self._send_control(encode(FrameType.WINDOW_UPDATE, ACK, stream_id, 0))

    def send(self, stream_id: int, pieces: Iterable[bytes | memoryview], size: int) -> None:
        """Send `pieces`, `size` bytes together, in one frame.

        Raises `StreamClosedError` after `end`, and `ValueError` for more than `sendable` or `MAX_FRAME_PAYLOAD`.
        """
        stream = self._live(stream_id)
        if not stream.local_open:
            raise StreamClosedError(f"stream {stream_id} is closed for writing")
        if size > stream.send_credit or size > MAX_FRAME_PAYLOAD:
            raise ValueError(f"{size} bytes are too many for one frame on stream {stream_id}")
        stream.send_credit -= size
        self._out.append(encode_data(stream_id, pieces, size))
        self.queued_bytes += HEADER_BYTES + size

    def end(self, stream_id: int) -> None:
        """Send no more on this stream (FIN). Done twice it does nothing."""
        stream = self._live(stream_id)
        if stream.local_open:
            stream.local_open = False
            self._send_control(encode(FrameType.WINDOW_UPDATE, FIN, stream_id, 0))
            self._forget_if_ended(stream_id, stream)

    def stop_reading(self, stream_id: int) -> None:
        """Take back interest in what comes: it is dropped without an event, and no more window is granted."""
        stream = self._live(stream_id)
        stream.reading = False
        self.budget.release_unread(stream.window)
        self._forget_if_ended(stream_id, stream)

    def reset(self, stream_id: int, code: int = StreamCode.NONE) -> None:
        """Drop a stream at once, both ways."""
        stream = self._live(stream_id)
        self._forget(stream_id, stream)
        self._send_control(encode(FrameType.WINDOW_UPDATE, RST, stream_id, code))

    def consumed(self, stream_id: int, size: int, now: float) -> None:
        """The reader of a stream took `size` bytes; grants more window when it is time."""
        stream = self._streams.get(stream_id)
        if stream is None or not stream.reading:
            return
        grant = stream.window.consumed(size, now, self.rtt_seconds)
        if not stream.remote_open:
            self._forget_if_ended(stream_id, stream)
        elif grant:
            self._send_control(encode(FrameType.WINDOW_UPDATE, 0, stream_id, grant))

    def ping(self, now: float) -> None:
        """Ask for a sign of life; the answer is a `Ponged`. An earlier ping's answer counts no longer."""
        self._ping_counter = (self._ping_counter + 1) & MAX_STREAM_ID
        self._ping_sent = now
        self._send_control(encode(FrameType.PING, SYN, 0, self._ping_counter))

    def go_away(self, code: int = SessionCode.NORMAL) -> None:
        """End the session: the streams are gone, and what comes later is ignored."""
        if not self.closed:
            self._send_control(encode(FrameType.GO_AWAY, 0, 0, code))
            self._close()

    def _live(self, stream_id: int) -> _Stream:
        try:
            return self._streams[stream_id]
        except KeyError:
            raise StreamClosedError(f"stream {stream_id} is closed") from None

    def _send_control(self, frame: bytes) -> None:
        self._out.append(frame)
        self._queued_control += 1
        self.queued_bytes += HEADER_BYTES

    def _forget_if_ended(self, stream_id: int, stream: _Stream) -> None:
        if not (stream.local_open or stream.remote_open or stream.window.unread):
            self._forget(stream_id, stream)

    def _forget(self, stream_id: int, stream: _Stream) -> None:
        del self._streams[stream_id]
        self.budget.release(stream.window)
        if not stream.outbound:
            self._inbound -= 1
        elif not stream.acknowledged:
            self._unacknowledged -= 1

    def _close(self) -> None:
        self.closed = True
        self._streams.clear()

    # What the remote side does.

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take bytes from the remote side, however they are cut, and say what they mean. Never raises.

        A `GoneAway` or `Violated` is the last event of a session.
        """
        events: list[Event] = []
        if self.closed:
            return events
        try:
            for item in self._reader.feed(data):
                if isinstance(item, bytes):
                    self._payload(item, events)
                else:
                    self._header(item, events, now)
                if self.closed:
                    break
        except YamuxProtocolError as error:
            self.go_away(error.code)
            events.append(Violated(error))
        return events

    def _header(self, header: Header, events: list[Event], now: float) -> None:
        receiver = self._receivers.get(header.type)
        if header.version != 0 or receiver is None:
            raise _violation(f"a frame of version {header.version} and type {header.type}")
        if (header.stream_id == 0) != (header.type >= FrameType.PING):
            raise _violation(f"a frame of type {header.type} on stream {header.stream_id}")
        receiver(header, events, now)
        if self._queued_control > MAX_QUEUED_CONTROL_FRAMES:
            raise YamuxProtocolError("too many frames that want an answer", SessionCode.RESOURCE_LIMIT)

    def _data_header(self, header: Header, events: list[Event], now: float) -> None:
        stream = self._stream_of(header, events, now)
        self._body = (header.stream_id, None, 0)
        if stream is None:
            return
        if header.flags & RST:
            self._remote_reset(header.stream_id, stream, StreamCode.NONE, events, now)
            return
        if header.length > stream.window.credit:
            raise _violation(f"{header.length} bytes on stream {header.stream_id}, allowed {stream.window.credit}")
        if header.length and not stream.remote_open:
            self._refuse(header.stream_id, StreamCode.PROTOCOL_VIOLATION, events)
            return
        stream.window.credit -= header.length
        self._body = (header.stream_id, stream, header.flags)
        if header.length == 0:
            self._body_complete(events)

    def _payload(self, piece: bytes, events: list[Event]) -> None:
        stream_id, stream, _ = self._body
        if stream is None or stream_id not in self._streams:
            return
        if stream.reading:
            stream.window.received(len(piece))
            if self.budget.exceeded:
                self._refuse(stream_id, StreamCode.RESOURCE_LIMIT, events)
                return
            events.append(DataReceived(stream_id, piece))
        if not self._reader.body_left:
            self._body_complete(events)

    def _body_complete(self, events: list[Event]) -> None:
        stream_id, stream, flags = self._body
        if flags & FIN and stream is not None:
            self._remote_end(stream_id, stream, events)

    def _window_update(self, header: Header, events: list[Event], now: float) -> None:
        stream = self._stream_of(header, events, now)
        if stream is None:
            return
        if header.flags & RST:
            self._remote_reset(header.stream_id, stream, header.length, events, now)
            return
        if header.length:
            stream.send_credit += header.length
            if stream.send_credit > MAX_CREDIT:
                raise _violation(f"a window of {stream.send_credit} bytes on stream {header.stream_id}")
            if stream.local_open:
                events.append(WindowOpened(header.stream_id))
        if header.flags & FIN:
            self._remote_end(header.stream_id, stream, events)

    def _stream_of(self, header: Header, events: list[Event], now: float) -> _Stream | None:
        """The stream that a frame is for, opened by it or acknowledged if its flags say so; None for one to ignore."""
        stream_id = header.stream_id
        stream = self._streams.get(stream_id)
        if header.flags & SYN:
            if stream is not None or stream_id % 2 != self._remote_parity:
                raise _violation(f"stream {stream_id} opened again, or not the remote side's to open")
            return self._remote_open(stream_id, events, now)
        if header.flags & ACK and stream is not None and stream.outbound and not stream.acknowledged:
            stream.acknowledged = True
            self._unacknowledged -= 1
        return stream

    def _remote_open(self, stream_id: int, events: list[Event], now: float) -> _Stream | None:
        if self._inbound >= MAX_INBOUND_STREAMS:
            self._send_control(encode(FrameType.WINDOW_UPDATE, RST, stream_id, StreamCode.RESOURCE_LIMIT))
            return None
        self._inbound += 1
        stream = self._streams[stream_id] = _Stream(False, ReceiveWindow(self.budget, now))
        events.append(StreamOpened(stream_id))
        return stream

    def _remote_end(self, stream_id: int, stream: _Stream, events: list[Event]) -> None:
        if stream.remote_open:
            stream.remote_open = False
            events.append(StreamEnded(stream_id))
            self._forget_if_ended(stream_id, stream)

    def _refuse(self, stream_id: int, code: StreamCode, events: list[Event]) -> None:
        self.reset(stream_id, code)
        events.append(StreamReset(stream_id, code))

    def _remote_reset(self, stream_id: int, stream: _Stream, code: int, events: list[Event], now: float) -> None:
        if not stream.outbound and not self._resets.take(now):
            raise YamuxProtocolError("too many streams opened and reset", SessionCode.RATE_LIMITED)
        self._forget(stream_id, stream)
        events.append(StreamReset(stream_id, code))

    def _ping_received(self, header: Header, events: list[Event], now: float) -> None:
        if header.flags == SYN:
            if self._queued_pongs < MAX_QUEUED_PONGS:
                self._queued_pongs += 1
                self._send_control(encode(FrameType.PING, ACK, 0, header.length))
        elif header.flags == ACK:
            if self._ping_sent is not None and header.length == self._ping_counter:
                self.rtt_seconds = max(0.0, now - self._ping_sent)
                self._ping_sent = None
                events.append(Ponged(self.rtt_seconds))
        else:
            raise _violation(f"a ping with flags {header.flags:#x}")

    def _go_away_received(self, header: Header, events: list[Event], now: float) -> None:
        self._close()
        events.append(GoneAway(header.length))


def _violation(reason: str) -> YamuxProtocolError:
    return YamuxProtocolError(reason, SessionCode.PROTOCOL_ERROR)
