"""IDONTWANT: the messages that one peer has said it does not want (gossipsub v1.2)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from hashlib import blake2b

from nodetrust.libp2p.pubsub.ids import MessageIds

_DIGEST_BYTES = 16


class Unwanted:
    """The IDs that a peer has named lately: at most `per_heartbeat` of each of the last `heartbeats` heartbeats.

    They are kept as digests, because the peer chooses their length. Nothing says that they are IDs of messages, nor in
    whose style: a message is unwanted if any of its names is here.
    """

    __slots__ = ("_per_heartbeat", "_windows", "flooded")

    def __init__(self, per_heartbeat: int, heartbeats: int) -> None:
        self._per_heartbeat = per_heartbeat
        self._windows: deque[set[bytes]] = deque([set()], maxlen=heartbeats)
        self.flooded = False
        """Whether the peer has named more than there is room for since the last heartbeat."""

    def __len__(self) -> int:
        return sum(map(len, self._windows))

    def __contains__(self, ids: MessageIds) -> bool:
        if not any(self._windows):
            return False
        digests = {_digest(message_id) for message_id in ids}
        return any(not digests.isdisjoint(window) for window in self._windows)

    def add(self, message_ids: Iterable[bytes]) -> None:
        """Remember these, as long as there is room."""
        window = self._windows[0]
        for message_id in message_ids:
            if len(window) >= self._per_heartbeat:
                self.flooded = True
                return
            window.add(_digest(message_id))

    def shift(self) -> None:
        """A heartbeat has passed."""
        self._windows.appendleft(set())
        self.flooded = False


def _digest(message_id: bytes) -> bytes:
    return blake2b(message_id, digest_size=_DIGEST_BYTES).digest()
