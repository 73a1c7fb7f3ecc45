"""Which messages have been seen lately, under all their IDs."""

from __future__ import annotations

from collections import deque

from nodetrust.libp2p.pubsub.ids import MessageIds


class SeenMessages:
    """Messages of the last `seconds`, at most `max_messages`; of more, the oldest are forgotten early."""

    def __init__(self, seconds: float, max_messages: int) -> None:
        self._seconds = seconds
        self._max_messages = max_messages
        self._order: deque[tuple[float, MessageIds]] = deque()
        self._ids: set[bytes] = set()

    def __contains__(self, message_id: bytes) -> bool:
        return message_id in self._ids

    def __len__(self) -> int:
        return len(self._order)

    def add(self, ids: MessageIds, now: float) -> None:
        """Remember a message from now on; its time is not renewed when it comes again."""
        if ids.go in self._ids:
            return
        self._order.append((now, ids))
        self._ids.update(ids)
        if len(self._order) > self._max_messages:
            self._forget_oldest()

    def expire(self, now: float) -> None:
        """Forget what has been remembered for long enough."""
        while self._order and now - self._order[0][0] >= self._seconds:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        self._ids.difference_update(self._order.popleft()[1])
