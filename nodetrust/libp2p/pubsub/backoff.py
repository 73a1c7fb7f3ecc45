"""Backoffs: which peer must not be grafted in which topic, and must not graft us, until when (gossipsub v1.1)."""

from __future__ import annotations

from collections import OrderedDict

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub.parameters import MAX_BACKOFF_SECONDS, MAX_BACKOFFS


class Backoffs:
    """Ends of backoffs by topic and peer: bounded in number, and each in length."""

    def __init__(self) -> None:
        self._ends: OrderedDict[tuple[str, PeerId], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, topic: str, peer: PeerId, seconds: float, now: float) -> None:
        """Begin a backoff, or extend one; it never gets shorter, and never longer than `MAX_BACKOFF_SECONDS`."""
        key = (topic, peer)
        end = now + min(seconds, MAX_BACKOFF_SECONDS)
        self._ends[key] = max(end, self._ends.get(key, end))
        if len(self._ends) > MAX_BACKOFFS:
            self._ends.popitem(last=False)

    def remaining(self, topic: str, peer: PeerId, now: float) -> float | None:
        """Seconds until the backoff ends: below 0 if it is over but not yet forgotten, `None` if there is none."""
        end = self._ends.get((topic, peer))
        return None if end is None else end - now

    def expire(self, now: float, slack_seconds: float) -> None:
        """Forget those that have been over for longer than the slack."""
        for key in [key for key, end in self._ends.items() if end + slack_seconds <= now]:
            del self._ends[key]
