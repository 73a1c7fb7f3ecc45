"""What a list names. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from nodetrust.libp2p.peer_id import PeerId
from nodetrust.lists.prefixes import PrefixSet


@dataclass(frozen=True, slots=True)
class Entries:
    """Prefixes and peers."""

    prefixes: PrefixSet = field(default_factory=PrefixSet)
    peers: frozenset[PeerId] = frozenset()

    def __len__(self) -> int:
        return len(self.prefixes) + len(self.peers)

    def without(self, other: Entries) -> int:
        """How many of these are not among the other's."""
        return len(self.prefixes.networks - other.prefixes.networks) + len(self.peers - other.peers)


def together(parts: Iterable[Entries]) -> Entries:
    """All that is in one of them."""
    parts = tuple(parts)
    networks = frozenset().union(*(part.prefixes.networks for part in parts))
    return Entries(PrefixSet(networks), frozenset().union(*(part.peers for part in parts)))
