"""A yamux session on a secured channel: the clock, the socket's back-pressure and the turns of the streams."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.yamux.errors import SessionClosedError, StreamLostError, StreamResetError
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
from nodetrust.libp2p.yamux.machine import MAX_FRAME_PAYLOAD, Session
from nodetrust.libp2p.yamux.stream import StreamOwner, YamuxStream
from nodetrust.libp2p.yamux.window import RECEIVE_BUDGET_BYTES
from nodetrust.libp2p.yamux.wire import SessionCode, StreamCode

KEEP_ALIVE_SECONDS = 30.0
"""Between two pings (go-yamux, js)."""

PING_TIMEOUT_SECONDS = 10.0
"""A session that is silent for so long after a ping is dead (go-yamux's ConnectionWriteTimeout)."""

STREAM_CLOSE_SECONDS = 30.0
"""How long a stream that we have closed may go without progress before it is reset."""

SESSION_CLOSE_SECONDS = 10.0
"""How long the channel below may take to close before it is aborted."""

StreamT = TypeVar("StreamT", bound=YamuxStream)


@implementer(IPushProducer)
class YamuxSession(Protocol, Generic[StreamT]):
    """Many streams over one channel. Nothing happens before `start`.

    `on_stream(stream)` is called for each stream that the remote side opens, already acknowledged; attach a protocol to
    it. `on_closed(reason)` is called once, when the channel below is gone. `make_stream` makes the streams, of both
    sides: a class that knows more of its streams than the muxer does.
    """

    _log = Logger()

    def __init__(
        self,
        channel: Channel,
        dialer: bool,
        clock: IReactorTime,
        on_stream: Callable[[StreamT], None],
        on_closed: Callable[[Failure], None],
        *,
        make_stream: Callable[[StreamOwner, int], StreamT],
        receive_budget: int = RECEIVE_BUDGET_BYTES,
    ) -> None:
        self.streams: dict[int, StreamT] = {}
        self._channel = channel
        self._clock = clock
        self._on_stream = on_stream
        self._make_stream = make_stream
        self._on_closed = on_closed
        self._machine = Session(dialer, receive_budget)
        self._ready: deque[YamuxStream] = deque()
        self._busy = self._full = False
        self._reads = 0
        self._idle_since = clock.seconds()
        self._timers: dict[str, IDelayedCall] = {}
        self._farewells: list[tuple[YamuxStream, Failure]] = []
        self._ending: Failure | None = None
        self._lost = False
        self._closers: list[Deferred[None]] = []
        self._receivers: dict[type, Callable[..., None]] = {
            DataReceived: self._data_received,
            StreamOpened: self._stream_opened,
            WindowOpened: self._window_opened,
            StreamEnded: self._stream_ended,
            StreamReset: self._stream_was_reset,
            Ponged: self._ponged,
            GoneAway: self._gone_away,
            Violated: self._violated,
        }

    # For the connection above.

    def start(self) -> None:
        """Take over the channel. Streams may be announced, and the session may end, before this returns."""
        self._channel.attach(self)

    @property
    def closed(self) -> bool:
        """Whether the session has ended or is ending."""
        return self._machine.closed

    @property
    def idle_seconds(self) -> float:
        """For how long there has been no stream; 0 while there is one."""
        return 0.0 if self.streams else self._clock.seconds() - self._idle_since

    @property
    def rtt_seconds(self) -> float | None:
        """The last measured round trip, None before the first one."""
        return self._machine.rtt_seconds

    def open_stream(self) -> StreamT:
        """Open a stream; it can be written to at once.

        Raises `SessionClosedError`, or `TooManyStreamsError` while the remote side has too many to acknowledge.
        """
        stream_id = self._machine.open_stream(self._clock.seconds())
        stream = self.streams[stream_id] = self._make_stream(self, stream_id)
        self._pump()
        return stream

    def close(self) -> Deferred[None]:
        """End the session and every stream; the result comes when the channel below is gone."""
        if self._lost:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._closers.append(closed)
        self._machine.go_away(SessionCode.NORMAL)
        self._end(Failure(SessionClosedError("the session was closed from this side")))
        return closed

    # For the channel below.

    def connectionMade(self) -> None:
        """Offer ourselves to the channel's flow control, and begin to measure and to watch."""
        self._channel.registerProducer(self, True)
        self._keep_alive()

    def dataReceived(self, data: bytes) -> None:
        """Do all that the frames say, and only then write, so that answers share a write."""
        now = self._clock.seconds()
        self._reads += 1
        nested, self._busy = self._busy, True
        try:
            for event in self._machine.receive_data(data, now):
                if self._ending is None:
                    self._receive(event)
        finally:
            self._busy = nested
        self._pump()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The channel is gone, and so is all that was on it."""
        self._lost = True
        self._machine.go_away()
        self._machine.data_to_send()
        self._end(reason, channel_gone=True)
        self._say_farewells()
        self._cancel_all()
        closers, self._closers = self._closers, []
        for closed in closers:
            closed.callback(None)
        self._on_closed(self._ending or reason)

    def pauseProducing(self) -> None:
        """The socket is full: every stream waits, and its producer when it has filled its own buffer."""
        self._full = True

    def resumeProducing(self) -> None:
        """The socket takes more."""
        self._full = False
        self._pump()

    def stopProducing(self) -> None:
        """The channel takes no more and will say `connectionLost`."""
        self._full = True

    # Events.

    def _receive(self, event: Event) -> None:
        try:
            self._receivers[type(event)](event)
        except Exception:
            self._log.failure("a stream's protocol failed on {event}", event=type(event).__name__)
            stream = self.streams.get(getattr(event, "stream_id", 0))
            if stream is not None:
                stream.abortConnection()

    def _stream_opened(self, event: StreamOpened) -> None:
        if event.stream_id not in self._machine:
            return  # opened and reset in one breath: a flood of these costs nothing above
        stream = self.streams[event.stream_id] = self._make_stream(self, event.stream_id)
        self._machine.accept(event.stream_id)
        self._on_stream(stream)

    def _data_received(self, event: DataReceived) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.deliver(event.data)

    def _window_opened(self, event: WindowOpened) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            self.stream_writable(stream)

    def _stream_ended(self, event: StreamEnded) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            stream.deliver_end()
            self._settle(stream)

    def _stream_was_reset(self, event: StreamReset) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is not None:
            self._drop(stream)
            stream.lost(Failure(StreamResetError(event.code)))

    def _ponged(self, event: Ponged) -> None:
        self._cancel("ping")

    def _gone_away(self, event: GoneAway) -> None:
        self._end(Failure(SessionClosedError(f"the remote side ended the session with code {event.code:#x}")))

    def _violated(self, event: Violated) -> None:
        self._log.debug("the remote side broke the rules of yamux: {reason}", reason=event.error)
        self._end(Failure(event.error))

    # Sending.

    def _pump(self) -> None:
        """Let the streams that have something to send take turns, a frame each, until the socket is full."""
        if self._busy:
            return
        self._busy = True
        try:
            while self._ready and not self._full:
                self._turn(self._ready.popleft())
            if not self._full:
                self._flush()
        finally:
            self._busy = False

    def _turn(self, stream: YamuxStream) -> None:
        stream.scheduled = False
        machine = self._machine
        if stream.stream_id not in machine:
            return
        try:
            stream.refill()
        except Exception:
            self._log.failure("the producer of a stream failed")
            stream.abortConnection()
            return
        size = min(stream.queue.size, machine.sendable(stream.stream_id), MAX_FRAME_PAYLOAD)
        if size:
            if machine.queued_bytes + size > MAX_FRAME_PAYLOAD:
                self._flush()
            machine.send(stream.stream_id, stream.queue.take(size), size)
            if stream.deadline is not None:
                stream.deadline.reset(STREAM_CLOSE_SECONDS)
            if stream.queue.size or stream.wants_turn or stream.end_due:
                self.stream_writable(stream)
        elif stream.end_due:
            machine.end(stream.stream_id)
            stream.end_sent()
            if stream.disconnecting:
                self._say_farewell(stream, Failure(ConnectionDone()))
            self._settle(stream)

    def _flush(self) -> None:
        frames = self._machine.data_to_send()
        if len(frames) == 1:
            self._channel.write(frames[0])
        elif frames:
            self._channel.writeSequence(frames)

    # For the streams.

    def stream_writable(self, stream: YamuxStream) -> None:
        """See `StreamOwner`."""
        if not stream.scheduled:
            stream.scheduled = True
            self._ready.append(stream)
        self._pump()

    def stream_consumed(self, stream: YamuxStream, size: int) -> None:
        """See `StreamOwner`."""
        self._machine.consumed(stream.stream_id, size, self._clock.seconds())
        self._settle(stream)
        self._pump()

    def stream_stopped_reading(self, stream: YamuxStream) -> None:
        """See `StreamOwner`."""
        if stream.stream_id in self._machine:
            stream.deadline = self._clock.callLater(STREAM_CLOSE_SECONDS, self._give_up, stream)
            self._machine.stop_reading(stream.stream_id)
            self._settle(stream)

    def stream_reset(self, stream: YamuxStream, code: int, reason: Failure) -> None:
        """See `StreamOwner`."""
        if stream.stream_id in self._machine:
            self._machine.reset(stream.stream_id, code)
        self._drop(stream)
        self._say_farewell(stream, reason)
        self._pump()

    def stream_peer(self) -> IAddress:
        """See `StreamOwner`."""
        return self._channel.getPeer()

    def stream_host(self) -> IAddress:
        """See `StreamOwner`."""
        return self._channel.getHost()

    def _give_up(self, stream: YamuxStream) -> None:
        stream.deadline = None
        error = StreamLostError("the remote side did not close the stream in time")
        self.stream_reset(stream, StreamCode.GARBAGE_COLLECTED, Failure(error))

    def _settle(self, stream: YamuxStream) -> None:
        """Let go of a stream that has ended on both sides. The machine may know of the end before its event is here."""
        if stream.remote_ended and stream.stream_id in self.streams and stream.stream_id not in self._machine:
            self._drop(stream)
            self._say_farewell(stream, Failure(ConnectionDone()))

    def _drop(self, stream: YamuxStream) -> None:
        self.streams.pop(stream.stream_id, None)
        self._idle_since = self._clock.seconds()
        if stream.deadline is not None:
            stream.deadline.cancel()
            stream.deadline = None

    def _say_farewell(self, stream: YamuxStream, reason: Failure) -> None:
        """Tell a stream that it is lost, but not from within a call that its protocol has made."""
        self._farewells.append((stream, reason))
        if "farewells" not in self._timers:
            self._timers["farewells"] = self._clock.callLater(0, self._say_farewells)

    def _say_farewells(self) -> None:
        self._timers.pop("farewells", None)
        farewells, self._farewells = self._farewells, []
        for stream, reason in farewells:
            self._lose(stream, reason)

    def _lose(self, stream: YamuxStream, reason: Failure) -> None:
        try:
            stream.lost(reason)
        except Exception:
            self._log.failure("a stream's protocol failed on connectionLost")

    # Life and death of the session.

    def _keep_alive(self) -> None:
        self._later("keep-alive", KEEP_ALIVE_SECONDS, self._keep_alive)
        self._later("ping", PING_TIMEOUT_SECONDS, self._ping_unanswered, self._reads)
        self._machine.ping(self._clock.seconds())
        self._pump()

    def _ping_unanswered(self, reads_before: int) -> None:
        """Anything that came since is a sign of life as well: the answer may wait behind a lot of data."""
        self._timers.pop("ping", None)
        if self._reads == reads_before:
            self._machine.go_away(SessionCode.INTERNAL_ERROR)
            self._end(Failure(SessionClosedError("the remote side did not answer a ping")))

    def _end(self, reason: Failure, channel_gone: bool = False) -> None:
        """Stop everything above, say the last words and close the channel below. Only the first call counts."""
        if self._ending is not None:
            return
        self._ending = reason
        self._cancel_all()
        self._ready.clear()
        self._say_farewells()
        lost = Failure(StreamLostError(f"the session ended: {reason.getErrorMessage()}"))
        for stream in list(self.streams.values()):
            self._drop(stream)
            self._lose(stream, lost)
        if not channel_gone:
            self._later("close", SESSION_CLOSE_SECONDS, self._channel.abortConnection)
            self._flush()
            self._channel.unregisterProducer()
            self._channel.loseConnection()

    def _later(self, name: str, seconds: float, call: Callable[..., object], *arguments: object) -> None:
        self._cancel(name)
        self._timers[name] = self._clock.callLater(seconds, call, *arguments)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer.active():
            timer.cancel()

    def _cancel_all(self) -> None:
        for name in list(self._timers):
            self._cancel(name)
