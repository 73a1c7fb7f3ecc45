"""Streams to a DNS server that are open, and wait for what it is told next.

To open one, and to close it again, costs both sides more than a challenge does.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall

from nodetrust.libp2p.message_stream import MessageStream

KEEP_SECONDS = 30.0
"""Half of what a DNS server waits for the next request."""


class IdleStreams:
    """At most `most` of them, each for `KEEP_SECONDS`; whoever takes one has it for himself."""

    def __init__(self, clock: Any, most: int) -> None:
        self._clock = clock
        self._most = most
        self._kept: dict[MessageStream, IDelayedCall] = {}

    def take(self) -> MessageStream | None:
        """The newest one on which the server may still answer, if there is one."""
        while self._kept:
            stream, timer = self._kept.popitem()
            timer.cancel()
            if not stream.ended and not stream.has_unread:
                return stream
            stream.close()
        return None

    def keep(self, stream: MessageStream) -> None:
        """Have it wait, if there is room."""
        if len(self._kept) < self._most:
            self._kept[stream] = self._clock.callLater(KEEP_SECONDS, self._close, stream)
        else:
            stream.close()

    def close(self) -> None:
        """All of them, and none is kept any more."""
        self._most = 0
        for stream in list(self._kept):
            self._kept[stream].cancel()
            self._close(stream)

    def _close(self, stream: MessageStream) -> None:
        del self._kept[stream]
        stream.close()
