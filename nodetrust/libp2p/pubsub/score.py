"""A peer's score: 0 for one that behaves, less for one that does not, never more.

Of the score function of gossipsub v1.1 (section Peer Scoring) this keeps the two parts that punish provable faults:
invalid messages (P4) and broken protocol (P7), both squared and decaying. Not kept: time in the mesh, first deliveries
and the mesh's delivery deficits (P1 to P3), since they need a rate of messages to be expected of a topic, and with a
wrong one they throw out honest peers of a topic as quiet as an announcement every few seconds; the application's part
(P5), since nobody has one; peers on one address (P6), which the host limits for all protocols. Without P1 and P2 no
score is above 0, so that D_score and opportunistic grafting have nothing to choose by and are left out, and peer
exchange, which wants a high score, is neither sent nor followed.

Valid messages are no fault, however many: `rates` bounds those of an author, `Parameters.checks_per_peer` those of the
peer that passes them on.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub.parameters import MAX_PENALIZED_PEERS

GOSSIP_THRESHOLD = -10.0
"""Below it a peer's gossip is ignored and it gets none; this and the next two as in rust-libp2p."""

PUBLISH_THRESHOLD = -50.0
"""Below it a peer gets none of our messages, nor those that we forward outside the mesh."""

GRAYLIST_THRESHOLD = -80.0
"""Below it nothing that a peer sends is looked at."""

INVALID_WEIGHT = 10.0
"""P4: one invalid message costs the place in the mesh, a second one gossip, a third one graylists."""

BEHAVIOUR_WEIGHT = 10.0
"""P7's weight: as in rust-libp2p and Lotus."""

BEHAVIOUR_FORGIVEN = 6.0
"""P7's threshold: as Lotus. A GRAFT and a PRUNE that cross on their way look like a broken backoff."""

DECAY = 0.99
"""What is left of each counter after a heartbeat: half after 69 seconds."""

DECAY_TO_ZERO = 0.1
"""A counter below this is 0."""


@dataclass(slots=True)
class _Counters:
    invalid: float = 0.0
    behaviour: float = 0.0


class Scores:
    """The faults of peers, bounded; a peer that comes back within minutes still has its own."""

    def __init__(self) -> None:
        self._counters: OrderedDict[PeerId, _Counters] = OrderedDict()

    def of(self, peer: PeerId) -> float:
        """The peer's score, at most 0."""
        counters = self._counters.get(peer)
        if counters is None:
            return 0.0
        behaviour = max(0.0, counters.behaviour - BEHAVIOUR_FORGIVEN)
        return -(INVALID_WEIGHT * counters.invalid**2 + BEHAVIOUR_WEIGHT * behaviour**2)

    def add_invalid(self, peer: PeerId, count: float = 1.0) -> None:
        """The peer has sent something that no honest peer sends or forwards."""
        self._counters_of(peer).invalid += count

    def add_behaviour(self, peer: PeerId, count: float = 1.0) -> None:
        """The peer has not kept to the protocol, in a way that may happen to an honest peer now and then."""
        self._counters_of(peer).behaviour += count

    def decay(self) -> None:
        """A heartbeat has passed."""
        for peer, counters in list(self._counters.items()):
            counters.invalid = _decayed(counters.invalid)
            counters.behaviour = _decayed(counters.behaviour)
            if not counters.invalid and not counters.behaviour:
                del self._counters[peer]

    def _counters_of(self, peer: PeerId) -> _Counters:
        counters = self._counters.get(peer)
        if counters is None:
            counters = self._counters[peer] = _Counters()
            if len(self._counters) > MAX_PENALIZED_PEERS:
                self._counters.popitem(last=False)
        return counters


def _decayed(counter: float) -> float:
    counter *= DECAY
    return 0.0 if counter < DECAY_TO_ZERO else counter
