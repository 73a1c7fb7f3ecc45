"""Sequence numbers: those that we give our messages, and the highest of each author, below which all is a replay.

A network forgets a message that it has seen after two minutes; whoever has kept it could send it round again from then
on. Numbers that only rise, over restarts, too, put an end to that (libp2p/specs pubsub; go-libp2p-pubsub calls its
guard BasicSeqnoValidator).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

from nodetrust.libp2p.peer_id import PeerId

Numbers: TypeAlias = Callable[[], int]
"""The number of our next message: above all it has ever returned, in earlier processes as well, and below 2**64."""

MAX_NUMBERED_AUTHORS = 65536
"""Authors whose highest number is remembered; our own choice: about 15 MB."""


class WallClockNumbers:
    """Nanoseconds since 1970, as go-libp2p and js-libp2p begin with; they rise over a restart unless the clock was set.

    Within a process they rise whatever the clock does.
    """

    def __init__(self, time_ns: Callable[[], int] = time.time_ns) -> None:
        self._time_ns = time_ns
        self._last = 0

    def __call__(self) -> int:
        self._last = max(self._last + 1, self._time_ns())
        return self._last


class HighestNumbers:
    """What a validator asks last, of messages that it would accept: `if not highest.admit(...): return IGNORE`.

    Of more than `max_authors` the one that has been quiet for longest is forgotten, and may then be replayed once more,
    from its oldest message to its newest. Two messages of an author that overtake each other on their way cost the
    older one: right where the newer one replaces it, as with announcements, and wrong where each counts.
    """

    def __init__(self, max_authors: int = MAX_NUMBERED_AUTHORS) -> None:
        self._max_authors = max_authors
        self._highest: OrderedDict[PeerId, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._highest)

    def admit(self, author: PeerId, seqno: int) -> bool:
        """Whether the number is above all that the author was admitted with; it is the highest from then on.

        Only with a number that the author has signed: it keeps all lower ones out.
        """
        if seqno <= self._highest.get(author, -1):
            return False
        self._highest[author] = seqno
        self._highest.move_to_end(author)
        if len(self._highest) > self._max_authors:
            self._highest.popitem(last=False)
        return True
