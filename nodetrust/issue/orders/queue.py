"""Who is next: one after the other of all networks, so that one that asks for much starves nobody. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from nodetrust.issue.decide import Order

_T = TypeVar("_T", bound=Hashable)

IPV4_BITS, IPV6_BITS = 32, 64
"""What counts as one network: what one customer of a provider has at least."""


def network_of(order: Order) -> Hashable:
    """The network that an order's place in the queue is counted for; the peer itself where no address was proven."""
    if not order.addresses:
        return order.peer
    first = order.addresses[0]
    bits = IPV4_BITS if first.version == 4 else IPV6_BITS
    return first.version, int(first) >> (first.max_prefixlen - bits)


class FairQueue(Generic[_T]):
    """What waits, by source; sources take turns, and in one source the first comes first."""

    def __init__(self) -> None:
        # Lists, for most have one item: thousands of sources are to be small, and a long list is not too slow.
        self._sources: OrderedDict[Hashable, list[_T]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, source: Hashable, item: _T) -> None:
        """At the end of what waits from this source; an item waits once."""
        self._sources.setdefault(source, []).append(item)
        self._count += 1

    def take(self) -> _T:
        """The first of the source whose turn it is; raises `KeyError` if nothing waits."""
        source, items = self._sources.popitem(last=False)
        item = items.pop(0)
        if items:
            self._sources[source] = items
        self._count -= 1
        return item

    def discard(self, source: Hashable, item: _T) -> None:
        """It does not wait any longer; nothing happens if it did not."""
        items = self._sources.get(source)
        if items is None or item not in items:
            return
        items.remove(item)
        self._count -= 1
        if not items:
            del self._sources[source]
