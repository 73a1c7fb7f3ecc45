"""Twenty nodes of three implementations, each linked with a few others, and what a third of them dying does to it."""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from random import Random
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.logger import Logger

from nodetrust.discovery import TOPIC, encode_announcement
from nodetrust.libp2p.multiaddr import Multiaddr
from tests.interop.harness import InteropTestCase, Peer
from tests.libp2p.pubsub.graph import Link, is_connected, link_at_random, neighbours

KINDS = ("ours",) * 7 + ("js",) * 7 + ("go",) * 6
KILLED = {"ours": 2, "js": 3, "go": 2}
LINKS_EACH = (4, 5)
SEED = 20
ROUNDS = 8
HEARTBEAT_SECONDS = 1.0
LOOPBACK = "/ip4/127.0.0.1/tcp/0"


def choose(random: Random) -> tuple[list[Link], set[int]]:
    """Links between the nodes, and the nodes to be killed: any, as long as the rest stays in one piece."""
    while True:
        links = link_at_random(len(KINDS), *LINKS_EACH, random)
        killed = {
            node
            for kind, count in KILLED.items()
            for node in random.sample([node for node, its in enumerate(KINDS) if its == kind], count)
        }
        if is_connected(set(range(len(KINDS))) - killed, links):
            return links, killed


def together(things: Iterable[Coroutine[Any, Any, Any]]) -> Awaitable[list[Any]]:
    """Do all of these side by side; their results in order."""
    return gatherResults(map(Deferred.fromCoroutine, things), consumeErrors=True)


class MeshTests(InteropTestCase):
    """js-libp2p, go-libp2p and we, a process each, on one topic."""

    timeout = 300
    log = Logger()

    async def test_a_third_is_killed(self) -> None:
        """From the moment of the kill, every announcement reaches every survivor within two heartbeats."""
        links, killed = choose(Random(SEED))
        nodes = await self.start_nodes()
        await self.link(nodes, links)
        await self.announce(nodes, 0)
        for node in killed:
            nodes[node].kill()
        survivors = [node for number, node in enumerate(nodes) if number not in killed]
        for number in range(1, ROUNDS + 1):
            seconds, way = await self.announce(survivors, number)
            self.log.info("announcement {number} took at most {seconds:.3f} s", number=number, seconds=seconds)
            self.assertLess(seconds, 2 * HEARTBEAT_SECONDS, f"announcement {number} from {way}")
            await deferLater(reactor, HEARTBEAT_SECONDS)
        self.assertEqual([node.ended for node in nodes], [number in killed for number in range(len(nodes))])

    async def start_nodes(self) -> list[Peer]:
        """One of each of `KINDS`, subscribed."""
        start: dict[str, Callable[..., Coroutine[Any, Any, Peer]]] = {
            "ours": self.start_ours,
            "js": lambda **options: self.start_js(pubsub="gossipsub", **options),
            "go": lambda **options: self.start_go(pubsub="gossipsub", **options),
        }
        nodes: list[Peer] = await together(start[kind](listen=[LOOPBACK]) for kind in KINDS)
        for number, node in enumerate(nodes):
            node.name = f"{node.name} {number}"
        await together(node.command("subscribe", topic=TOPIC) for node in nodes)
        return nodes

    async def link(self, nodes: list[Peer], links: list[Link]) -> None:
        """Connect them, one link after the other, and wait until the topic's mesh is up.

        go-libp2p and we take in everyone while there are fewer than five; js-libp2p is content with four.
        """
        for dialer, listener in links:
            await nodes[dialer].command("dial", addr=nodes[listener].address())
        for number, node in enumerate(nodes):
            known = [nodes[other].peer_id for other in neighbours(number, links)]
            mesh = [] if KINDS[number] == "js" else known
            await node.command("awaitPubsub", topic=TOPIC, subscribers=known, mesh=mesh)

    async def announce(self, nodes: list[Peer], number: int) -> tuple[float, str]:
        """All announce an address at once, and hear all others: the longest that it took, and on which way."""
        said = [self.announcement(number, node) for node in range(len(nodes))]
        begun = await together(
            node.command("publish", topic=TOPIC, data=data) for node, data in zip(nodes, said, strict=True)
        )
        took = []
        for hearer in nodes:
            for author, data, begin in zip(nodes, said, begun, strict=True):
                if author is not hearer:
                    heard = await hearer.event("message", topic=TOPIC, source=author.peer_id, data=data)
                    took.append((heard["at"] - begin["at"], f"{author.name} to {hearer.name}"))
        return max(took)

    @staticmethod
    def announcement(number: int, node: int) -> str:
        """What a node says in a round."""
        address = Multiaddr.parse(f"/ip4/203.0.113.{node + 1}/tcp/{1000 + number}/tls/ws")
        return b64encode(encode_announcement([address])).decode()
