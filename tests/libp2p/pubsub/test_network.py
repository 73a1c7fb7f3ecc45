"""Whole networks of routers: everybody hears everything, meshes keep their size, losses heal."""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from nodetrust.libp2p.pubsub.parameters import Parameters
from tests.libp2p.pubsub.graph import is_connected, link_at_random
from tests.libp2p.pubsub.simulation import Network

MESH = Parameters()
NO_FLOOD = Parameters(flood_publish=False)
SEEDS = 25


class NetworkTests(SynchronousTestCase):
    def assertAllHeard(self, network: Network, author, data: bytes) -> None:
        """Every node but the author heard the message, and none twice."""
        counts = {peer: network.heard[peer][data] for peer in network.peers}
        self.assertEqual(counts, {peer: int(peer != author) for peer in network.peers})

    def assertMeshesSound(self, network: Network) -> None:
        """Mesh links are mutual, and each node has neither too few nor too many."""
        for peer in network.peers:
            mesh = network.routers[peer].mesh("t")
            self.assertTrue(MESH.mesh_low <= len(mesh) <= MESH.mesh_high, len(mesh))
            for other in mesh:
                self.assertIn(peer, network.routers[other].mesh("t"))

    def test_a_message_reaches_all(self) -> None:
        """Fifty nodes with a few links each all hear a message once, whoever publishes it."""
        network = Network(50)
        network.link_some(3)
        network.subscribe_all()
        network.run(4)
        for n in (0, 17, 49):
            author = network.peers[n]
            network.publish(author, n, b"from %d" % n)
            network.run(2)
            self.assertAllHeard(network, author, b"from %d" % n)

    def test_meshes_have_their_size(self) -> None:
        """Where everyone knows everyone, each mesh settles within its bounds, with peers that were dialed in it."""
        network = Network(30)
        network.link_all()
        network.subscribe_all()
        network.run(150)
        self.assertMeshesSound(network)

    def test_the_mesh_saves_messages(self) -> None:
        """Without flooding, a message costs each node about as many transmissions as its mesh is large, not 29."""
        network = Network(30, NO_FLOOD)
        network.link_all()
        network.subscribe_all()
        network.run(10)
        network.publish(network.peers[3], 1, b"m")
        network.run(5)
        self.assertAllHeard(network, network.peers[3], b"m")
        self.assertLess(network.messages_sent, 30 * MESH.mesh_high)

    def test_loss_of_nodes_heals(self) -> None:
        """After a third of the nodes has gone the rest has sound meshes again, and hears everything."""
        network = Network(36, NO_FLOOD)
        network.link_all()
        network.subscribe_all()
        network.run(10)
        for gone in network.random.sample(network.peers, 12):
            network.remove(gone)
        network.run(150)
        self.assertMeshesSound(network)
        network.publish(network.peers[5], 1, b"still here")
        network.run(2)
        self.assertAllHeard(network, network.peers[5], b"still here")

    def test_announcements_arrive_after_a_third_was_killed(self) -> None:
        """From that moment, each announcement of thirteen survivors of twenty reaches the others in two heartbeats.

        Each node has four to six links, and the survivors are in one piece; a hop takes a tenth of a heartbeat.
        """
        for seed in range(SEEDS):
            for parameters in (MESH, NO_FLOOD):
                network = self.mesh_of_twenty(seed, parameters)
                for number in range(4):
                    for author in network.peers:
                        network.publish(author, number, self.announcement(author, number))
                    network.run(2 * MESH.heartbeat_seconds)
                    for author in network.peers:
                        self.assertAllHeard(network, author, self.announcement(author, number))

    def mesh_of_twenty(self, seed: int, parameters: Parameters) -> Network:
        """A network that has just lost seven nodes."""
        random = Random(seed)
        network = Network(20, parameters, seed)
        while True:
            links = link_at_random(20, 4, 6, random)
            killed = random.sample(range(20), 7)
            if is_connected(set(range(20)) - set(killed), links):
                break
        network.link_as(links)
        network.subscribe_all()
        network.run(random.uniform(3, 5))
        for gone in [network.peers[number] for number in killed]:
            network.remove(gone)
        return network

    @staticmethod
    def announcement(author, number: int) -> bytes:
        return b"%d of %s" % (number, author.multihash)

    def test_floodsub_peers_hear_and_are_heard(self) -> None:
        """Nodes that speak only floodsub get every message, pass theirs on, and are in nobody's mesh."""
        network = Network(20, NO_FLOOD)
        network.link_all(flooders=4)
        network.subscribe_all()
        network.run(5)
        for n in (0, 10):
            network.publish(network.peers[n], n, b"from %d" % n)
            network.run(2)
            self.assertAllHeard(network, network.peers[n], b"from %d" % n)
        for router in network.routers.values():
            self.assertFalse(router.mesh("t") & set(network.peers[:4]))

    def test_gossip_repairs_losses(self) -> None:
        """A node whose mesh links lose everything for a moment hears of the message from others, and asks for it."""
        network = Network(20, NO_FLOOD)
        network.link_all()
        network.subscribe_all()
        network.run(5)
        deaf = network.peers[7]
        network.lose = lambda sender, receiver: receiver == deaf
        network.publish(network.peers[0], 1, b"m")
        network.run(0.6)
        self.assertEqual(network.heard[deaf][b"m"], 0)
        network.lose = lambda sender, receiver: False
        network.run(3)
        self.assertAllHeard(network, network.peers[0], b"m")
