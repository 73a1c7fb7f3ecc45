"""An authenticated connection to a peer, on which both sides open streams."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from nodetrust.libp2p.channel import Channel
from nodetrust.libp2p.errors import ConnectionClosed, Libp2pError
from nodetrust.libp2p.multistream import LazyChannel, select_inbound, select_outbound
from nodetrust.libp2p.transports import RawConnection
from nodetrust.libp2p.upgrade import Upgraded
from nodetrust.libp2p.yamux import YamuxSession, YamuxStream

if TYPE_CHECKING:
    from nodetrust.libp2p.identify.wire import Identify

NEGOTIATION_SECONDS = 10.0
"""For the protocol of one stream, as in go-libp2p and js-libp2p."""


class Stream(Channel):
    """A channel on which one protocol is spoken: what `Connection.open_stream` returns, and what its protocols get."""

    connection: Connection
    protocol_id: str
    """Set before anybody else gets the stream."""


class _MuxedStream(YamuxStream, Stream):
    """The muxer's own stream: nothing lies between it and the application."""


class _LazyStream(LazyChannel, Stream):
    """On top of the muxer's stream, until its end: it has the negotiation's answers to take out."""


class Connection:
    """A peer, the streams to it, and where it was seen. Made by the `Host`; closed by whoever has seen enough of it."""

    log = Logger()

    def __init__(
        self,
        raw: RawConnection,
        upgraded: Upgraded,
        *,
        outbound: bool,
        clock: IReactorTime,
        protocols: Collection[str],
        on_stream: Callable[[Stream], None],
        on_closed: Callable[[Connection], None],
    ) -> None:
        """`protocols` (a live view) are accepted on inbound streams, which then go to `on_stream`."""
        self.remote_peer = upgraded.secured.remote_peer
        self.remote_key = upgraded.secured.remote_key
        self.remote_address = raw.remote_address
        self.local_address = raw.local_address
        self.outbound = outbound
        self.security = upgraded.security
        self.remote_identify: Identify | None = None
        self.brief = False
        """Whoever had it made closes it soon; see `Host.brief_connection`."""
        self._raw = raw
        self._clock = clock
        self._protocols = protocols
        self._on_stream = on_stream
        self._on_closed = on_closed
        self._session = YamuxSession(
            upgraded.secured.channel,
            outbound,
            clock,
            on_stream=self._stream_opened,
            on_closed=self._session_closed,
            make_stream=_MuxedStream,
        )
        self._gone = False
        self._waiting: list[Deferred[None]] = []

    @property
    def closed(self) -> bool:
        """Whether it has ended or is ending: no stream can be opened any more."""
        return self._session.closed

    def idle_seconds(self) -> float:
        """For how long there has been no stream on it; 0 while there is one."""
        return self._session.idle_seconds

    def spoken(self) -> list[str]:
        """The protocol of each open stream; an empty text for one that is not agreed on yet, or lazily."""
        return [getattr(stream, "protocol_id", "") for stream in self._session.streams.values()]

    def __repr__(self) -> str:
        return f"<Connection {'to' if self.outbound else 'from'} {self.remote_peer} at {self.remote_address}>"

    def start(self) -> None:
        """Begin to speak the muxer's protocol; from now on inbound streams arrive."""
        self._session.start()

    async def open_stream(self, protocol_ids: Sequence[str], lazy: bool = False) -> Stream:
        """A stream on which the remote side speaks the first of `protocol_ids` that it knows.

        `lazy` saves a round trip where the peer is known to speak the first one: it is taken as accepted, and if the
        peer refuses after all the stream ends with a NegotiationError. Raises ConnectionClosed, NegotiationError, and
        LimitExceeded while the peer has too many streams to acknowledge.
        """
        if self.closed:
            raise ConnectionClosed(f"the connection to {self.remote_peer} is closed")
        muxed = self._session.open_stream()
        muxed.connection = self
        if not lazy:
            muxed.protocol_id = await select_outbound(muxed, protocol_ids, self._clock, NEGOTIATION_SECONDS)
            return muxed
        stream = _LazyStream(protocol_ids[0])
        stream.connection = self
        muxed.attach(stream)
        return stream

    def close(self) -> Deferred[None]:
        """Say goodbye and close; fires when the connection is gone."""
        self._session.close()
        return self.when_closed()

    def abort(self) -> None:
        """Drop the connection now."""
        self._raw.channel.abortConnection()

    def when_closed(self) -> Deferred[None]:
        """Fires when the connection is gone, whoever closed it."""
        gone: Deferred[None] = Deferred()
        if self._gone:
            gone.callback(None)
        else:
            self._waiting.append(gone)
        return gone

    def _stream_opened(self, stream: _MuxedStream) -> None:
        Deferred.fromCoroutine(self._accept(stream)).addErrback(self._stream_failed, stream)

    async def _accept(self, stream: _MuxedStream) -> None:
        stream.connection = self
        stream.protocol_id = await select_inbound(stream, self._protocols, self._clock, NEGOTIATION_SECONDS)
        self._on_stream(stream)

    def _stream_failed(self, failure: Failure, stream: Stream) -> None:
        stream.abortConnection()
        if failure.check(Libp2pError):
            self.log.debug("A stream from {peer} failed: {reason}", peer=self.remote_peer, reason=str(failure.value))
        else:
            self.log.failure("A protocol failed to take a stream from {peer}", failure, peer=self.remote_peer)

    def _session_closed(self, reason: Failure) -> None:
        self._gone = True
        # Values, not objects: an observer may keep the event.
        peer, address = self.remote_peer, self.remote_address
        self.log.debug("{peer} at {address} closed: {reason}", peer=peer, address=address, reason=str(reason.value))
        self._on_closed(self)
        waiting, self._waiting = self._waiting, []
        for gone in waiting:
            gone.callback(None)
