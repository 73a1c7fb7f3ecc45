"""Peers that find each other over real loopback sockets, and stay together without a server."""

import time
from pathlib import Path
from random import SystemRandom

from twisted.internet import reactor
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase

from nodetrust.discovery import Announcer, Discovery, Neighbours, SequenceNumbers, relay, start_pubsub
from nodetrust.discovery.neighbourhood import GRACE_SECONDS
from nodetrust.discovery.neighbours import LOOK_SECONDS
from nodetrust.discovery.topic import TOPIC
from nodetrust.libp2p.host import Host
from nodetrust.libp2p.keys import PrivateKey
from nodetrust.libp2p.multiaddr import Multiaddr

LOOPBACK = Multiaddr.parse("/ip4/127.0.0.1/tcp/0")
ELSEWHERE = Multiaddr.parse("/ip4/127.0.0.1/tcp/9")


async def until(condition):
    while not condition():
        await deferLater(reactor, 0.02)


class Server:
    """A host that carries announcements."""

    def __init__(self):
        self.host = Host(reactor, PrivateKey.generate())
        self.pubsub = start_pubsub(self.host, reactor)

    async def start(self):
        relay(self.pubsub)
        self.address = (await self.host.listen(LOOPBACK)).with_peer_id(self.host.peer_id)

    async def stop(self):
        self.pubsub.stop()
        await self.host.stop()


class Client(Server):
    """A host that announces where it listens, and looks for others."""

    async def start(self):
        await super().start()
        self.discovery = Discovery(self.pubsub, reactor)
        self.announcer = Announcer(self.pubsub, reactor, SystemRandom(), 1.0)
        self.neighbours = Neighbours(self.host, self.pubsub, self.discovery, reactor, SystemRandom())
        self.discovery.start()
        self.announcer.set_addresses([self.address])
        self.announcer.start()
        self.neighbours.start()

    async def stop(self):
        self.neighbours.stop()
        self.announcer.stop()
        self.discovery.stop()
        await super().stop()

    def hears(self, author):
        """The addresses that it takes the author to be at."""
        entry = self.discovery.get(author)
        return () if entry is None else entry.announcement.addresses


class NeighboursTests(TestCase):
    timeout = 300

    async def run_one(self, kind):
        one = kind()
        self.addCleanup(one.stop)
        await one.start()
        return one

    async def test_without_the_server(self):
        """Eight clients know one server. It dies, and what each announces then still reaches every other."""
        server = await self.run_one(Server)
        clients = [await self.run_one(Client) for _ in range(8)]
        for client in clients:
            await client.host.connect([server.address])
        await until(lambda: all(len(client.pubsub.peers(TOPIC)) >= 6 for client in clients))
        await server.stop()
        await until(lambda: not any(client.host.connections(server.host.peer_id) for client in clients))
        for mover in clients:
            moved = ELSEWHERE.with_peer_id(mover.host.peer_id)
            mover.announcer.set_addresses([moved, mover.address])
            others = [client for client in clients if client is not mover]
            await until(
                lambda others=others, mover=mover, moved=moved: all(
                    moved in one.hears(mover.host.peer_id) for one in others
                )
            )

    async def test_a_lost_neighbour(self):
        """A neighbour that dies is replaced; those who remain stay connected with each other."""
        server = await self.run_one(Server)
        clients = [await self.run_one(Client) for _ in range(4)]
        for client in clients:
            await client.host.connect([server.address])
        await until(lambda: all(len(client.pubsub.peers(TOPIC)) == 4 for client in clients))
        await clients[0].stop()
        newcomer = await self.run_one(Client)
        await newcomer.host.connect([server.address])
        await until(lambda: all(newcomer.host.peer_id in client.pubsub.peers(TOPIC) for client in clients[1:]))


class RestartTests(TestCase):
    timeout = 120

    async def test_a_clock_that_was_set_back(self):
        """A client that restarts with its clock an hour back, and its state, is believed where it says that it is."""
        key, path = PrivateKey.generate(), Path(self.mktemp())
        listener = Client()
        self.addCleanup(listener.stop)
        await listener.start()
        for hours_back, place in ((0, LOOPBACK), (1, ELSEWHERE)):
            host = Host(reactor, key)
            self.addCleanup(host.stop)
            back = hours_back * 3600 * 10**9
            numbers = SequenceNumbers(path, lambda back=back: time.time_ns() - back)
            pubsub = start_pubsub(host, reactor, numbers)
            announcer = Announcer(pubsub, reactor, SystemRandom(), 1.0)
            announcer.set_addresses([place])
            announcer.start()
            try:
                await host.connect([listener.address])
                told = (place.with_peer_id(key.peer_id),)
                await until(lambda told=told: listener.hears(key.peer_id) == told)
            finally:
                announcer.stop()
                pubsub.stop()
                await host.stop()


class SilentTests(TestCase):
    """Peers that do not speak pubsub: what is behind a forwarder."""

    timeout = 120

    def setUp(self):
        self.clock = Clock()
        self.us, self.them = Host(reactor, PrivateKey.generate()), Host(reactor, PrivateKey.generate())
        for host in (self.us, self.them):
            self.addCleanup(host.stop)

    async def reach(self):
        """Hear of the peer, from the client that forwards to it, and dial it."""
        client = Server()
        self.addCleanup(client.stop)
        await client.start()
        pubsub = start_pubsub(self.us, reactor)
        self.addCleanup(pubsub.stop)
        discovery = Discovery(pubsub, self.clock)
        discovery.start()
        self.addCleanup(discovery.stop)
        await self.us.connect([client.address])
        address = await self.them.listen(LOOPBACK)
        announcer = Announcer(client.pubsub, reactor, SystemRandom(), 1.0)
        announcer.set_addresses([address], self.them.peer_id)
        announcer.start()
        self.addCleanup(announcer.stop)
        await until(discovery.peers)
        neighbours = Neighbours(self.us, pubsub, discovery, self.clock, SystemRandom())
        neighbours.start()
        self.addCleanup(neighbours.stop)
        await until(lambda: self.us.connections(self.them.peer_id))
        (connection,) = self.us.connections(self.them.peer_id)
        await until(lambda: connection.remote_identify is not None and not connection.spoken())
        return connection

    async def test_left(self):
        """They are left when they have not joined in time."""
        connection = await self.reach()
        self.clock.pump([LOOK_SECONDS] * (int(GRACE_SECONDS / LOOK_SECONDS) - 1))
        self.assertFalse(connection.closed)
        self.clock.pump([LOOK_SECONDS] * 2)
        await connection.when_closed()

    async def test_needed_for_something_else(self):
        """Not while anybody here speaks something else with them; as soon as that is over they are left."""
        self.them.handle_messages("/test/1", lambda messages: messages.read(), 100)
        connection = await self.reach()
        stream = await connection.open_stream(["/test/1"])
        self.assertEqual(connection.spoken(), ["/test/1"])
        self.clock.pump([LOOK_SECONDS] * (int(GRACE_SECONDS / LOOK_SECONDS) + 3))
        self.assertFalse(connection.closed)
        stream.abortConnection()
        await until(lambda: not connection.spoken())
        self.clock.advance(LOOK_SECONDS)
        await connection.when_closed()
