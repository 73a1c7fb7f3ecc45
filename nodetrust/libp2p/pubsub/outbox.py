"""What waits to be written to one peer. Pure."""

from __future__ import annotations

from collections import deque

MAX_DROPPABLE_BYTES = 2 << 20
"""Messages and gossip waiting for one peer; our own choice: two of the largest RPCs. More is dropped."""

MAX_ESSENTIAL_BYTES = 1 << 20
"""Subscriptions, GRAFTs and PRUNEs waiting for one peer; our own choice: all our topics, joined and left."""


class Outbox:
    """Frames for one peer, bounded however slow it reads: control first, then the rest, each in the order it came.

    A dropped message is one that gossip may repair. A dropped subscription or PRUNE would leave the two sides with
    different ideas of each other for good, so that the caller has to give up the stream instead.
    """

    def __init__(self) -> None:
        self._essential: deque[bytes] = deque()
        self._droppable: deque[bytes] = deque()
        self._essential_bytes = 0
        self._droppable_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._essential or self._droppable)

    def put(self, frame: bytes, essential: bool) -> bool:
        """Add a frame; say whether there was room. If not it is not kept."""
        if essential:
            if self._essential_bytes + len(frame) > MAX_ESSENTIAL_BYTES:
                return False
            self._essential.append(frame)
            self._essential_bytes += len(frame)
        else:
            if self._droppable_bytes + len(frame) > MAX_DROPPABLE_BYTES:
                return False
            self._droppable.append(frame)
            self._droppable_bytes += len(frame)
        return True

    def take(self) -> bytes:
        """The next frame; only if there is one."""
        if self._essential:
            frame = self._essential.popleft()
            self._essential_bytes -= len(frame)
        else:
            frame = self._droppable.popleft()
            self._droppable_bytes -= len(frame)
        return frame

    def clear(self) -> None:
        """Forget everything: the stream that it was for is gone."""
        self._essential.clear()
        self._droppable.clear()
        self._essential_bytes = self._droppable_bytes = 0
