"""How many signatures are verified between two heartbeats, and for whom. Pure.

To verify one is the dearest that a stranger can have us do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.libp2p.pubsub.parameters import BYTES_PER_CHECK, MAX_CHECKS_PER_MESSAGE, Parameters


class CheckBudget:
    """A part for whoever comes first, and one for each peer that nobody else can use up."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._common = 0
        self._spent: Counter[PeerId] = Counter()
        self._own: dict[PeerId, int] = {}

    def take(self, peer: PeerId, data_bytes: int) -> bool:
        """Spend what a message with so much data costs that comes from the peer; False where it may not."""
        checks = min(1 + data_bytes // BYTES_PER_CHECK, MAX_CHECKS_PER_MESSAGE)
        spent = self._spent[peer] + checks
        if spent > self._parameters.checks_per_peer:
            return False
        if spent > self._own.get(peer, 0):
            if self._common + checks > self._parameters.common_checks:
                return False
            self._common += checks
        self._spent[peer] = spent
        return True

    def renew(self, outbound: Mapping[PeerId, bool]) -> None:
        """A heartbeat has passed: these peers are connected, and we have dialed them, or they us.

        Whoever comes after it has no part of its own until the next.
        """
        self._common = 0
        self._spent.clear()
        sides = Counter(outbound.values())
        reserved = self._parameters.reserved_checks
        self._own = {peer: max(1, reserved // sides[side]) for peer, side in outbound.items()}
