"""What a stream has written and the remote side's window has not let through yet."""

from __future__ import annotations

from collections import deque


class SendQueue:
    """Bytes in order, kept as they were written and cut only where a frame ends; `size` is their number."""

    __slots__ = ("_offset", "_pieces", "size")

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._offset = 0
        self.size = 0

    def append(self, data: bytes) -> None:
        """Add `data` at the end."""
        if data:
            self._pieces.append(data)
            self.size += len(data)

    def take(self, limit: int) -> list[bytes | memoryview]:
        """Remove up to `limit` bytes from the front, without copying them."""
        taken: list[bytes | memoryview] = []
        left = min(limit, self.size)
        self.size -= left
        while left:
            head = self._pieces[0]
            end = self._offset + left
            if end >= len(head):
                taken.append(memoryview(head)[self._offset :] if self._offset else head)
                left -= len(head) - self._offset
                self._pieces.popleft()
                self._offset = 0
            else:
                taken.append(memoryview(head)[self._offset : end])
                self._offset = end
                left = 0
        return taken

    def clear(self) -> None:
        """Drop everything."""
        self._pieces.clear()
        self._offset = self.size = 0
