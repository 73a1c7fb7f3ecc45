"""Who is linked with whom in a mesh of nodes, and whether it is in one piece without some of them. Pure."""

from collections.abc import Collection
from random import Random

Link = tuple[int, int]
"""The dialer, then the listener."""


def link_at_random(count: int, fewest: int, most: int, random: Random) -> list[Link]:
    """Links at random, so that each of `count` nodes has `fewest` to `most` of them and dials about half of its own."""
    while True:
        links = _try_to_link(count, fewest, most, random)
        if min(len(neighbours(node, links)) for node in range(count)) >= fewest:
            return links


def _try_to_link(count: int, fewest: int, most: int, random: Random) -> list[Link]:
    """Link pairs as long as one of them has too few links and neither has enough."""
    pairs = [(one, other) for one in range(count) for other in range(one)]
    random.shuffle(pairs)
    degrees, dialed = [0] * count, [0] * count
    links = []
    for pair in pairs:
        if min(degrees[node] for node in pair) < fewest and max(degrees[node] for node in pair) < most:
            dialer, listener = sorted(pair, key=lambda node: dialed[node] - degrees[node] / 2)
            links.append((dialer, listener))
            dialed[dialer] += 1
            for node in pair:
                degrees[node] += 1
    return links


def neighbours(node: int, links: Collection[Link]) -> set[int]:
    """Those that a node is linked with."""
    return {other for link in links if node in link for other in link if other != node}


def is_connected(nodes: Collection[int], links: Collection[Link]) -> bool:
    """Whether each of the nodes can be reached from each other over these nodes alone."""
    reached: set[int] = set()
    to_visit = set(list(nodes)[:1])
    while to_visit:
        node = to_visit.pop()
        reached.add(node)
        to_visit |= (neighbours(node, links) & set(nodes)) - reached
    return reached == set(nodes)
