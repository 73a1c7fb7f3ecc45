"""How often one author may publish, through whichever peers its messages come. Pure."""

from __future__ import annotations

from collections import OrderedDict

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub.parameters import MAX_RATED_AUTHORS


class AuthorRates:
    """A bucket of tokens for each author, kept as the time at which it is full again.

    Asking costs nothing, and only what was accepted is counted: else anyone could use up an author's tokens with
    forgeries, or with old messages that are no longer wanted.
    """

    def __init__(self, burst: int, per_second: float) -> None:
        self._seconds_per_message = 1 / per_second
        self._spare_seconds = (burst - 1) / per_second
        self._full_at: OrderedDict[PeerId, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def allows(self, author: PeerId, now: float) -> bool:
        """Whether the author has a token left."""
        return self._full_at.get(author, now) - now <= self._spare_seconds

    def count(self, author: PeerId, now: float) -> None:
        """Take a token for a message that was accepted."""
        self._full_at[author] = max(now, self._full_at.get(author, now)) + self._seconds_per_message
        self._full_at.move_to_end(author)
        if len(self._full_at) > MAX_RATED_AUTHORS:
            self._full_at.popitem(last=False)

    def expire(self, now: float) -> None:
        """Forget the buckets that are full."""
        for author in [author for author, full_at in self._full_at.items() if full_at <= now]:
            del self._full_at[author]
