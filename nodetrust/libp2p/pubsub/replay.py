"""A validator that lets no author's message through twice, nor an older one after a newer one."""

from __future__ import annotations

from collections import OrderedDict

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub.machine import Verdict
from nodetrust.libp2p.pubsub.messages import PubSubMessage

MAX_AUTHORS = 4096
"""Authors whose latest number is remembered; our own choice. Who has been silent for longest is forgotten first."""


class SeqnoGuard:
    """Ignores a message whose sequence number is not above all earlier ones of its author, as Kubo does.

    The router forgets a message after two minutes, and then anybody could send it again. Not in force by default: js-
    and rust-libp2p have used random numbers for years, and two messages of one author that overtake each other on
    their way would cost the older one. Right where only the latest message of an author counts, as in announcements.
    """

    def __init__(self) -> None:
        self._latest: OrderedDict[PeerId, int] = OrderedDict()

    def __call__(self, message: PubSubMessage) -> Verdict:
        """The verdict, and the message's number becomes the author's latest if it is accepted."""
        if message.seqno <= self._latest.get(message.source, -1):
            return Verdict.IGNORE
        self._latest[message.source] = message.seqno
        self._latest.move_to_end(message.source)
        if len(self._latest) > MAX_AUTHORS:
            self._latest.popitem(last=False)
        return Verdict.ACCEPT
