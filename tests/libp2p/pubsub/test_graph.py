"""The links of the mesh tests: as many as asked for, dialed from both sides, and in one piece or not."""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.libp2p.pubsub.graph import is_connected, link_at_random, neighbours


class GraphTests(SynchronousTestCase):
    def test_links_at_random(self) -> None:
        """Each node has as many links as asked for, to others, once each, and half of them dialed, give or take one."""
        for seed in range(50):
            links = link_at_random(20, 4, 6, Random(seed))
            self.assertEqual(len({frozenset(link) for link in links}), len(links))
            for node in range(20):
                count = sum(node in link for link in links)
                self.assertEqual(len(neighbours(node, links) - {node}), count)
                self.assertTrue(4 <= count <= 6)
                self.assertTrue(1 <= sum(dialer == node for dialer, _ in links) <= 4)

    def test_in_one_piece(self) -> None:
        """Links over nodes that are gone do not count."""
        line = [(0, 1), (1, 2), (3, 2)]
        self.assertTrue(is_connected({0, 1, 2, 3}, line))
        self.assertFalse(is_connected({0, 2, 3}, line))
        self.assertTrue(is_connected({2, 3}, line))
